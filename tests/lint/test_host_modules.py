"""No module that runs on the hosts goes without its run under their Pythons."""

from __future__ import annotations

import pytest

from tests.host_modules import CALLS, CONTROL_SIDE, HOST_SIDE, MODULES, ROOT


def test_every_module_that_runs_on_hosts_is_called_there() -> None:
    called = {path.stem for path in CALLS.glob("*.yml")}
    missing = sorted(set(HOST_SIDE) - called)
    assert missing == [], "write tests/lab/host_modules/<module>.yml, or list the module in tests/host_modules.py"
    assert sorted(called - set(HOST_SIDE)) == [], "these files call no module that runs on hosts"


def test_the_list_of_modules_of_the_control_node_is_right() -> None:
    assert sorted(set(CONTROL_SIDE) - set(MODULES)) == [], "there are no such modules"
    for name, why in CONTROL_SIDE.items():
        text = (ROOT / f"plugins/modules/{name}.py").read_text()
        there = {"asks AWS": "AnsibleAWSModule(" in text, "documents an action plugin": "def main" not in text}
        assert there[why], f"{name} does not look as if it {why}"


@pytest.mark.parametrize("name", HOST_SIDE)
def test_its_calls_are_checked_and_made_twice(name: str) -> None:
    text = (CALLS / f"{name}.yml").read_text()
    assert text.count(f"ecommerce.fleet.{name}:") >= 2
    assert "check_mode: true" in text
    assert "ansible.builtin.assert:" in text
