# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of variables: those that the collection has, and the nearest to one that it does not have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

COLLECTION = Path(__file__).parents[3]
"""By the path that Ansible knows it by, links included: what it has read of the roles is not read again for each host."""
NEAR = 0.75
"""difflib's ratio from which a name is taken for a misspelt one."""
NEARER = 0.9
"""The same for a name that does not even begin like the collection's: it may well be somebody else's."""


def suggestion(name: str, known: Iterable[str], least: float = NEAR) -> str:
    """` (did you mean …?)` with the nearest known name, or those that are as near; empty if none is near."""
    ratio = difflib.SequenceMatcher(b=name)
    scores: dict[str, float] = {}
    for other in known:
        ratio.set_seq1(other)
        if ratio.real_quick_ratio() >= least and ratio.quick_ratio() >= least:
            scores[other] = ratio.ratio()
    best = max(scores.values(), default=0)
    near = sorted(other for other, score in scores.items() if score == best and best >= least)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


@cache
def roles() -> list[str]:
    """Of the collection."""
    return sorted(path.parents[1].name for path in COLLECTION.glob("roles/*/meta/argument_specs.yml"))


def role_of(name: str) -> str | None:
    """The role whose name the variable begins with."""
    return next((role for role in roles() if name.startswith(f"{role}_")), None)


def _assigned(prefix: str, files: Iterable[Path]) -> Iterator[str]:
    """Names with the prefix that a key, `register` or `loop_var` of a YAML file gives a value to."""
    form = re.compile(rf"(?m)^[ \t]*(?:- )?(?:(?:register|loop_var): *)?({prefix}_[a-z0-9_]+)(?=:|[ \t]*$)")
    for file in files:
        yield from form.findall(file.read_text(encoding="utf-8"))


@cache
def of_role(role: str) -> frozenset[str]:
    """What the role takes, exports and keeps."""
    folder = COLLECTION / "roles" / role
    return frozenset(
        _assigned(
            role, (file for part in ("defaults", "meta", "vars", "tasks") for file in folder.glob(f"{part}/**/*.yml"))
        )
    )


@cache
def of_playbooks() -> frozenset[str]:
    """What the playbooks set by themselves and pass to each other."""
    return frozenset(_assigned("fleet", COLLECTION.glob("playbooks/**/*.yml")))


def _misspelt_prefix(name: str, known: Mapping[str, Iterable[str]]) -> str:
    """` (did you mean …?)` for a name whose first word is nearly one of the collection's, and whose rest fits."""
    as_ours = name.lower().replace("-", "_")
    first = as_ours.partition("_")[0]
    prefixes = [prefix for prefix in known if suggestion(first, [prefix.partition("_")[0]])]
    return suggestion(as_ours, frozenset().union(*(known[prefix] for prefix in prefixes)), NEARER) if prefixes else ""


def unknown(given: Iterable[str], specified: Iterable[str], own: Iterable[str] = ()) -> list[str]:
    """One sentence for each name in `given` that begins like the collection's and is none. `own`: the user's, that are let pass."""
    known: dict[str, frozenset[str]] = {role: of_role(role) for role in roles()}
    known["fleet"] = of_playbooks().union(specified)
    found = []
    for name in sorted(set(given) - set(own)):
        prefix = "fleet" if name.startswith("fleet_") else role_of(name)
        if prefix is None and (near := _misspelt_prefix(name, known)):
            found.append(
                f"There is no variable {name}{near}; if it is one of your own, name it in fleet_own_variables."
            )
        if prefix is None or name in known[prefix]:
            continue
        near = suggestion(name, frozenset().union(*known.values()))
        advice = "." if near else "; name a variable of your own otherwise, or in fleet_own_variables."
        found.append(f"There is no variable {name}{near}{advice}")
    return found
