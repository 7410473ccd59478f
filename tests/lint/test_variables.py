"""The specification of the variables fleet_* has every one that the playbooks take, and its page says what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import fleet_rules, names, playbook
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs.values import OWN_KEYS

from tests.support.tree import ROOT, output, run, texts

SPECIFIED = fleet_rules.specification()
FORM = re.compile(r"(?<![\w.])fleet_[a-z0-9_]+")
KEYS = {"type", "elements", "required", "choices", "default", "options", "description", *OWN_KEYS}
GROUPS = {"fleet_steps", "fleet_late_steps", "fleet_compared", "image_tests"}
"""Of hosts, made by a play that was checked."""
THEIR_HOSTS = GROUPS | {"{{ fleet_steps_group | default('fleet_steps') }}"}
PLAYBOOKS = sorted(file.stem for file in (ROOT / "playbooks").glob("*.yml"))


def test_the_rendered_page_is_up_to_date() -> None:
    done = run(sys.executable, "scripts/variables.py", "--check")
    assert done.returncode == 0, output(done)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_uses_only_variables_that_are_specified_or_set_by_a_playbook(name: str) -> None:
    assert playbook.used(name) - set(SPECIFIED) - names.of_playbooks() - GROUPS == set()


def test_inventories_and_images_set_only_variables_that_are_known() -> None:
    found = {
        (str(path), name)
        for path, text in texts()
        if path.parts[0] in ("inventory", "packer") and path.suffix in (".yml", ".hcl")
        for name in re.findall(r"(?m)^\s*(\w+)\s*[:=]", text)
        if names.unknown([name], SPECIFIED)
    }
    assert found == set()


def test_every_variable_that_is_specified_is_used() -> None:
    actions = "".join(file.read_text() for file in (ROOT / "plugins/action").glob("check_*.py"))
    shared = (ROOT / "inventory/shared.yml").read_text()
    used = {name for one in PLAYBOOKS for name in playbook.used(one)} | set(FORM.findall(actions + shared))
    assert set(SPECIFIED) - used == set()


@pytest.mark.parametrize("name", SPECIFIED)
def test_an_entry_says_what_the_variable_takes(name: str) -> None:
    option = SPECIFIED[name]
    assert set(option) <= KEYS
    assert option["description"].endswith(".")
    assert ("pattern" in option) == ("form" in option)
    assert "required" not in option or "default" not in option
    assert option["type"] != "list" or "elements" in option


def test_a_default_that_a_playbook_has_is_the_one_of_the_specification() -> None:
    different = {}
    for file in (ROOT / "playbooks").rglob("*.yml"):
        for name, text in re.findall(r"\b(fleet_[a-z0-9_]+) \| default\(([^()]*)\)", file.read_text()):
            if name in SPECIFIED and text not in ("omit", "__fleet_http_listener"):
                default: Any = yaml.safe_load(text)
                if default != SPECIFIED[name].get("default"):
                    different[name] = (file.name, default)
    assert different == {}


def test_a_release_has_the_kinds_that_the_role_runs() -> None:
    specs = yaml.safe_load((ROOT / "roles/app_runtime/meta/argument_specs.yml").read_text())
    kinds = specs["argument_specs"]["main"]["options"]["app_runtime_kind"]["choices"]
    assert SPECIFIED["fleet_release_kind"]["choices"] == kinds
    assert SPECIFIED["fleet_release"]["options"]["kind"]["choices"] == kinds


def test_every_play_begins_only_after_the_check() -> None:
    """But the check itself, plays on groups that a checked play has made, and init, which changes no account."""
    unchecked = []
    for name in set(PLAYBOOKS) - {"context", "init"}:
        for play in yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text()):
            hosts = play.get("hosts")
            if hosts and hosts not in THEIR_HOSTS and "ecommerce.fleet.checked_hosts" not in hosts:
                unchecked.append((name, play["name"]))
    assert unchecked == []


DEFAULTS = {
    role.parent.parent.name: set(yaml.safe_load(role.read_text()) or {})
    for role in ROOT.glob("roles/*/defaults/main.yml")
}
SHARED = set(yaml.safe_load((ROOT / "inventory/shared.yml").read_text()))


def tree(node: Any) -> Iterator[Any]:
    """A play's nodes, with those of the files of tasks that it takes in."""
    yield node
    inner = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    if isinstance(node, dict):
        for action in ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks"):
            if isinstance(file := node.get(action), str) and "{{" not in file:
                inner.append(yaml.safe_load((ROOT / "playbooks" / "tasks" / Path(file).name).read_text()))
    for one in inner:
        yield from tree(one)


def roles_of(nodes: list[Any]) -> set[str]:
    """Those whose defaults a play has: its own, and imported ones. An included role has its own only while it runs."""
    named = [node for node in nodes if isinstance(node, dict)]
    found = [node["role"] for node in named if "role" in node]
    found += [node["ansible.builtin.import_role"]["name"] for node in named if "ansible.builtin.import_role" in node]
    return {name.rpartition(".")[2] for name in found}


def set_in(play: dict[str, Any]) -> set[str]:
    files = [yaml.safe_load((ROOT / "playbooks" / file).read_text()) for file in play.get("vars_files", [])]
    return {name for values in (play.get("vars", {}), *files) for name in values}


@pytest.mark.parametrize(
    ("file", "number"),
    [
        (file.name, number)
        for file in sorted((ROOT / "playbooks").glob("*.yml"))
        for number, play in enumerate(yaml.safe_load(file.read_text()))
        if "hosts" in play
    ],
)
def test_a_play_asks_for_the_variables_of_roles_that_it_does_not_run(file: str, number: int) -> None:
    """By the lookup role_variable or with a default: without the role there is none."""
    nodes = list(tree(yaml.safe_load((ROOT / "playbooks" / file).read_text())[number]))
    running = roles_of(nodes)
    text = "\n".join(node for node in nodes if isinstance(node, str))
    missing = (
        set().union(*(names for role, names in DEFAULTS.items() if role not in running)) - SHARED - set_in(nodes[0])
    )
    plain = {name for name in re.findall(r"(?<![\w.'])([a-z0-9_]+)\b(?!\s*\|\s*default|')", text) if name in missing}
    assert plain == set()
