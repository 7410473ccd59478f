"""The audit of the demo's fleet: it finds what drifted, where and since when, and is quiet again once it is remediated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.flow import changed
from tests.support.demo_fleet import LAB, Fleet, output

pytestmark = pytest.mark.e2e
CONTROL, DRIFT = "ssh-no-root-login", "sed -i '1i PermitRootLogin yes' /etc/ssh/sshd_config"


def audited(folder: Path, host: str) -> dict[str, Any]:
    """What the last audit said about the control on the host."""
    report = json.loads((folder / f"{host}.json").read_text())
    return next(dict(entry) for entry in report["controls"] if entry["id"] == CONTROL)


def test_every_control_holds_on_the_fleet_of_the_demo(summary: dict[str, Any]) -> None:
    assert summary["controls"]["pass"] > 3 * 250
    assert not summary["controls"].keys() & {"fail", "error"}


def test_a_control_that_drifted_is_named_with_its_host_and_since_when_until_it_is_remediated(
    fleet: Fleet, tmp_path: Path
) -> None:
    good = fleet.play("audit", hardening_report_dir=str(tmp_path))
    assert good.returncode == 0, good.stdout[-3000:]
    host, *others = sorted(path.stem for path in tmp_path.glob("i-*.json"))
    done = fleet.lab.run(
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
        bad = fleet.play("audit", hardening_report_dir=str(tmp_path))
        assert bad.returncode != 0
        count = len(json.loads((tmp_path / f"{host}.json").read_text())["controls"])
        failure = f"Non-compliant controls on {host}: 1 of {count} {CONTROL}, since {audited(tmp_path, host)['since']}"
        assert failure in output(bad)
        assert not [other for other in others if f"Non-compliant controls on {other}" in output(bad)]
    again = audited(tmp_path, host)["since"]
    assert again < json.loads((tmp_path / f"{host}.json").read_text())["when"], "it drifted an audit ago, not now"
    assert changed(fleet.play("site", "--tags", "hardening").stdout) == 1
    assert fleet.play("audit", hardening_report_dir=str(tmp_path)).returncode == 0
    assert audited(tmp_path, host)["status"] == "pass"


def test_an_audit_changes_nothing_on_the_hosts(unchanged_fleet: Fleet, tmp_path: Path) -> None:
    done = unchanged_fleet.play("audit", hardening_report_dir=str(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:]
    assert changed(done.stdout) == 0
    hosts = len(list(tmp_path.glob("i-*.json")))
    assert f"{hosts} of {hosts} hosts checked; " in output(done), "it ends with the counts"
    assert f"report: {tmp_path}/fleet.html" in output(done)
    assert "skipping:" not in done.stdout
