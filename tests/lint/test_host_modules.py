"""No module that runs on the hosts goes without its run under their Pythons."""

from __future__ import annotations

import pytest

from tests.support.host_modules import CALLS, CONTROL_SIDE, HOST_SIDE, MODULES, ROOT


def test_every_module_that_runs_on_hosts_is_called_there() -> None:
    called = {path.stem for path in CALLS.glob("*.yml")}
    missing = sorted(set(HOST_SIDE) - called)
    assert missing == [], (
        "write tests/lab/host_modules/<module>.yml, or list the module in tests/support/host_modules.py"
    )
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


HOST_PACKAGES = ("_host", "_hardening", "_admin_access", "_app", "_agents", "_proxysql")


def test_what_runs_on_hosts_is_ascii_as_python_2_reads_it() -> None:
    """Or says its encoding: Python 2.7 takes no other character, not even in a comment."""
    files = [ROOT / f"plugins/modules/{name}.py" for name in HOST_SIDE]
    for package in HOST_PACKAGES:
        files += sorted((ROOT / "plugins/module_utils" / package).rglob("*.py"))
    assert len(files) > 40
    texts = {file: file.read_bytes() for file in files}
    wrong = [
        f"{file.relative_to(ROOT)}"
        for file, text in texts.items()
        if not text.isascii() and b"coding: utf-8" not in text[:300]
    ]
    assert wrong == []
