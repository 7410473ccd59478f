# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook of the collection uses: variables, tags, roles with what it passes them. Read from its files at run time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from .names import COLLECTION, role_of, suggestion

PLAYBOOKS = COLLECTION / "playbooks"
CONTEXT = "context.yml"
PARTS = ("context", "roll_steps")
"""Playbooks that others import and nobody runs."""
NO_TAGS = ("always", "never")
"""Tags that say when a task runs and choose none."""
WHOLE = {"all", "tagged"}
"""Ansible's own tags that leave nothing of a playbook out whose tasks are tagged."""
COMMENT = re.compile(r"(?m)^\s*#.*$")
INCLUDED = re.compile(r"[\w./-]+\.yml")


@dataclass(frozen=True)
class RoleUse:
    """A role of a play.

    `when`: its conditions, all of which must be true; `variables`: what the play passes it, templates; `only`: the variables that the
    play reads by the lookup role_variable without running the role, empty where it runs it.
    """

    role: str
    when: tuple[str, ...] = ()
    variables: dict[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Playbook:
    name: str
    tags: frozenset[str]
    roles: tuple[RoleUse, ...]
    on_hosts: bool
    """Whether a play runs on the web hosts, so that a part of them can be chosen."""

    def command_violations(self, limit: str | None, tags: list[str], skipped: list[str]) -> list[str]:
        """What of --limit, --tags and --skip-tags would run less than asked for, or nothing."""
        found: list[str] = []
        if (
            f"{self.name}.yml" == CONTEXT
        ):  # imported by a playbook of somebody else's, of whose hosts and tags nothing is known
            return found
        if limit and not self.on_hosts:
            found.append(
                f"--limit {limit}: ecommerce.fleet.{self.name} works on the whole fleet; run it without --limit."
            )
        for option, names, allowed in (
            ("--tags", tags, self.tags | (WHOLE if self.tags else {"all"})),
            ("--skip-tags", skipped, self.tags),
        ):
            for name in sorted(set(names) - allowed):
                there = f"it has {', '.join(sorted(self.tags))}" if self.tags else "it has none and runs as a whole"
                near = suggestion(name, self.tags)
                found.append(f"{option} {name}: ecommerce.fleet.{self.name} has no such tag{near}; {there}.")
        return found


def files(name: str) -> list[Path]:
    """The playbook's file and every file of the playbooks' folder that it includes, itself first."""
    found, todo = [], [PLAYBOOKS / f"{name}.yml"]
    while todo:
        file = todo.pop()
        if file not in found and file.is_file():
            found.append(file)
            text = COMMENT.sub("", file.read_text(encoding="utf-8"))
            todo += [base / path for path in INCLUDED.findall(text) for base in (file.parent, PLAYBOOKS)]
    return found


@cache
def used(name: str) -> frozenset[str]:
    """The names fleet_* in the playbook's own files."""
    texts = (COMMENT.sub("", file.read_text(encoding="utf-8")) for file in files(name))
    return frozenset(found for text in texts for found in re.findall(r"(?<![\w.])fleet_[a-z0-9_]+", text))


def read(name: str, loader: Any) -> Playbook:
    """`loader`: loads a YAML file by its path, with its texts as templates."""
    plays = list(_plays(PLAYBOOKS / f"{name}.yml", loader))
    return Playbook(
        name=name,
        tags=frozenset(_tags(plays)) - set(NO_TAGS),
        roles=(*(use for play in plays for use in _roles(play)), *_read_roles(name)),
        on_hosts=any(re.search(r"\bweb\b", str(play.get("hosts", ""))) for play in plays),
    )


def _read_roles(name: str) -> Iterator[RoleUse]:
    texts = "".join(file.read_text(encoding="utf-8") for file in files(name))
    names = sorted(set(re.findall(r"role_variable', '(\w+)'", texts)))
    for role, own in groupby(names, key=role_of):
        if role:
            yield RoleUse(role, only=tuple(own))


def _plays(file: Path, loader: Any) -> Iterator[dict[str, Any]]:
    for play in loader(str(file)):
        imported = play.get("ansible.builtin.import_playbook")
        if imported is None:
            yield play
        elif imported != CONTEXT:
            # What an import passes on holds in all of its plays.
            for inner in _plays(file.parent / imported, loader):
                yield {**inner, "vars": {**inner.get("vars", {}), **play.get("vars", {})}}


def _tags(plays: list[dict[str, Any]]) -> Iterator[str]:
    for play in plays:
        for entry in (play, *play.get("roles", []), *_tasks(play)):
            tags = entry.get("tags", [])
            yield from [tags] if isinstance(tags, str) else tags


def _roles(play: dict[str, Any]) -> Iterator[RoleUse]:
    for task in _tasks(play):
        if imported := task.get("ansible.builtin.import_role"):
            yield _use(imported["name"], task, play)
    for entry in play.get("roles", []):
        yield _use(entry["role"], entry, play)


def _tasks(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tasks of a play or a block, and those of the blocks in it."""
    for section in ("pre_tasks", "tasks", "post_tasks", "block", "rescue", "always"):
        for task in node.get(section, []):
            yield task
            yield from _tasks(task)


def _use(role: str, entry: dict[str, Any], play: dict[str, Any]) -> RoleUse:
    when = entry.get("when", [])
    conditions = tuple(when) if isinstance(when, list) else (when,)
    return RoleUse(role.rpartition(".")[2], conditions, {**play.get("vars", {}), **entry.get("vars", {})})
