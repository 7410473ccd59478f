"""A role's interface is what its argument specs say: the defaults are the same, the README names only what exists."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.support.tree import ROOT, roles

MAX_MAIN_LINES = 40
ABSENT = object()


def load(role: str, path: str) -> dict[str, Any]:
    file = ROOT / "roles" / role / path
    return (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}


def internals(role: str) -> set[str]:
    """Names of the variables that the role keeps to itself or exports."""
    files = sorted((ROOT / "roles" / role / "vars").rglob("*.yml"))
    return {name for file in files for name in yaml.safe_load(file.read_text())}


def options(role: str) -> dict[str, Any]:
    return dict(load(role, "meta/argument_specs.yml").get("argument_specs", {}).get("main", {}).get("options", {}))


@pytest.mark.parametrize("role", roles())
def test_every_default_is_in_the_argument_specs_and_the_other_way_round(role: str) -> None:
    defaults, specified = load(role, "defaults/main.yml"), options(role)
    without_default = {name for name, option in specified.items() if option.get("required") or "default" not in option}
    assert set(defaults) - set(specified) == set(), "defaults that the argument specs don't have"
    assert set(specified) - set(defaults) - without_default == set(), (
        "argument specs with a default that defaults/main.yml doesn't have"
    )


@pytest.mark.parametrize("role", roles())
def test_the_argument_specs_say_the_same_default_as_the_defaults(role: str) -> None:
    """A default made by a template can't be repeated in the specs; every other one is the same."""
    defaults = load(role, "defaults/main.yml")
    plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    said = {name: option.get("default", ABSENT) for name, option in options(role).items()}
    different = {
        name: (value, said.get(name)) for name, value in plain.items() if said.get(name) not in (value, ABSENT)
    }
    assert different == {}, "name: (defaults/main.yml, argument specs)"


@pytest.mark.parametrize("role", roles())
def test_a_roles_variables_carry_its_name(role: str) -> None:
    names = {*load(role, "defaults/main.yml"), *options(role)}
    internal = internals(role)
    assert {name for name in names if not name.startswith(f"{role}_")} == set()
    assert {name for name in internal if not name.startswith((f"{role}_", f"__{role}_"))} == set()


@pytest.mark.parametrize("role", roles())
def test_the_main_task_file_is_a_table_of_contents(role: str) -> None:
    lines = (ROOT / "roles" / role / "tasks/main.yml").read_text().splitlines()
    assert len(lines) < MAX_MAIN_LINES


@pytest.mark.parametrize("role", roles())
def test_the_readme_names_only_variables_that_exist(role: str) -> None:
    readme = ROOT / "roles" / role / "README.md"
    assert readme.exists(), f"roles/{role} has no README.md"
    known = {*load(role, "defaults/main.yml"), *options(role), *internals(role)}
    named = set(re.findall(rf"(?<![\w./-]){role}_[a-z0-9_]+(?![\w(-])", readme.read_text()))
    assert {name for name in named if name not in known} == set()


@pytest.mark.parametrize("role", roles())
def test_every_role_has_a_scenario_with_a_verification(role: str) -> None:
    scenario = ROOT / "molecule" / role
    assert (scenario / "molecule.yml").exists()
    assert list((scenario / "tests").rglob("test_*.py")), (
        f"molecule/{role}/tests has no test_*.py; molecule looks nowhere else"
    )


@pytest.mark.parametrize("role", roles())
def test_no_role_names_another(role: str) -> None:
    """Roles never name each other: playbooks pass what one exports to the next."""
    found = []
    for file in sorted((ROOT / "roles" / role).rglob("*.yml")):
        text = file.read_text()
        found += [
            f"{file.relative_to(ROOT)}: {other}_…"
            for other in roles()
            if other != role and re.search(rf"(?<![\w/.-]){other}_[a-z]\w*:? ", text)
        ]
        found += re.findall(r"(?:include|import)_role", text)
    assert found == []


@pytest.mark.parametrize("role", roles())
def test_every_role_begins_with_the_same_check(role: str) -> None:
    first = yaml.safe_load((ROOT / "roles" / role / "tasks/main.yml").read_text())[0]
    assert "ecommerce.fleet.role_begin" in first


def scalars(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in scalars(part)]
    return [text for part in value for text in scalars(part)] if isinstance(value, list) else [str(value)]


@pytest.mark.parametrize("role", roles())
def test_no_number_is_rendered_as_json_that_is_text_on_another_core(role: str) -> None:
    """ansible-core 2.16 makes text of "{{ x | int }}" in a structure, newer ones keep the number: each changes what the other wrote."""
    files = sorted((ROOT / "roles" / role).rglob("*.yml"))
    rendered = {
        name
        for file in files
        for expression in re.findall(r"\{\{([^{}]*)\|\s*to_(?:nice_)?json", file.read_text())
        for name in re.findall(r"\b__\w+", expression)
    }
    variables = {
        name: value
        for file in files
        if "vars" in file.parts
        for name, value in yaml.safe_load(file.read_text()).items()
    }
    typed = re.compile(r"\|\s*(int|float|bool)\s*\}\}$")
    assert [(n, t) for n in rendered & variables.keys() for t in scalars(variables[n]) if typed.search(t)] == []
