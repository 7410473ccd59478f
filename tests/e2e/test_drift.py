"""The audit of the demo's fleet: it finds what drifted, where and since when, and is quiet again once it is set right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.flow import changed
from tests.e2e.conftest import LAB, Fleet, run, said

pytestmark = pytest.mark.e2e
CONTROL, DRIFT = "ssh-no-root-login", "sed -i '1i PermitRootLogin yes' /etc/ssh/sshd_config"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hardening")


def audited(folder: Path, host: str) -> dict[str, Any]:
    """What the last audit said about the control on the host."""
    report = json.loads((folder / f"{host}.json").read_text())
    return next(dict(entry) for entry in report["controls"] if entry["id"] == CONTROL)


def test_every_control_holds_on_the_fleet_of_the_demo(summary: dict[str, Any]) -> None:
    assert summary["controls"]["pass"] > 3 * 250
    assert summary["controls"].get("fail", 0) == 0


def test_a_control_that_drifted_is_named_with_its_host_and_since_when_until_it_is_set_right(
    fleet: Fleet, folder: Path
) -> None:
    good = fleet.play("audit", hardening_report_dir=str(folder))
    assert good.returncode == 0, good.stdout[-3000:]
    host, *others = sorted(path.stem for path in folder.glob("i-*.json"))
    done = run(
        LAB,
        "run",
        "ansible",
        host,
        "-i",
        "inventory/lab",
        "-e",
        f"fleet_os={fleet.os}",
        "-b",
        "-m",
        "shell",
        "-a",
        DRIFT,
    )
    assert done.returncode == 0, done.stdout
    for _ in range(2):
        bad = fleet.play("audit", hardening_report_dir=str(folder))
        assert bad.returncode != 0
        assert f"1 of the controls do not hold on {host}: {CONTROL}, since {audited(folder, host)['since']}" in said(
            bad
        )
        assert not [other for other in others if f"do not hold on {other}" in said(bad)]
    again = audited(folder, host)["since"]
    assert again < json.loads((folder / f"{host}.json").read_text())["when"], "it drifted an audit ago, not now"
    assert changed(fleet.play("site", "--tags", "hardening").stdout) == 1
    assert fleet.play("audit", hardening_report_dir=str(folder)).returncode == 0
    assert audited(folder, host)["status"] == "pass"


def test_an_audit_changes_nothing_on_the_hosts(fleet: Fleet, folder: Path) -> None:
    assert changed(fleet.play("audit", hardening_report_dir=str(folder)).stdout) == 0
