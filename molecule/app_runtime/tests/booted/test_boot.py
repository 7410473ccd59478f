"""After a boot for which another release was the current one; at first with a checksum that its artifact does not have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fleet_units import shown


@pytest.mark.parametrize("port", [3000, 3001])
def test_the_host_serves_the_current_release(host: Any, port: int) -> None:
    assert json.loads(host.check_output(f"curl -s http://127.0.0.1:{port}/version"))["version"] == "1.4.0"


def test_no_instance_started_before_it_was_there(host: Any) -> None:
    """By the times on systemd's own clock, in microseconds since the boot."""
    there = int(shown(host, "app-release.service", "ExecMainExitTimestampMonotonic")["ExecMainExitTimestampMonotonic"])
    for port in (3000, 3001):
        started = int(shown(host, f"app@{port}", "ExecMainStartTimestampMonotonic")["ExecMainStartTimestampMonotonic"])
        assert started > there > 0


def test_it_is_recorded_as_a_deployment_records_it(host: Any) -> None:
    record = json.loads(host.check_output("cat /opt/app/.deployed.json"))
    assert (record["version"], record["previous"]) == ("1.4.0", "1.1.0")
    assert record["fingerprint"]
    assert host.check_output("stat -c '%a %U' /opt/app/.deployed.json /opt/app/releases/1.4.0").split("\n") == [
        "644 root",
        "755 root",
    ]


def test_the_journal_tells_why_nothing_was_served_and_what_is_served_now(host: Any) -> None:
    said = host.check_output("journalctl --no-pager --output=cat --boot --unit=app-release.service")
    assert "its current release is not here, so nothing is served: the artifact s3://" in said
    assert f"expected was {'0' * 64}" in said
    assert "it serves the current release 1.4.0, instead of 1.1.0" in said


def test_a_restart_of_an_instance_asks_no_more(host: Any) -> None:
    before = host.check_output(
        "journalctl --no-pager --output=cat --boot --unit=app-release.service | grep -c 'it serves'"
    )
    host.check_output("systemctl restart app@3001")
    after = host.check_output(
        "journalctl --no-pager --output=cat --boot --unit=app-release.service | grep -c 'it serves'"
    )
    assert before == after == "1"
