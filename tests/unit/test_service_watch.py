"""When a restarted unit counts as alive."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_watch import Watch, matching_lines, parse_show

ACTIVE = {"ActiveState": "active", "SubState": "running", "MainPID": "10", "Result": "success"}


def test_an_active_unit_lives_once_it_has_settled() -> None:
    watch = Watch(2)
    assert [watch.see(now, ACTIVE) for now in (0, 1, 2)] == ["wait", "wait", "alive"]


def test_another_main_process_starts_the_settling_again() -> None:
    watch = Watch(2)
    watch.see(0, ACTIVE)
    assert watch.see(2, ACTIVE | {"MainPID": "11"}) == "wait"
    assert watch.see(4, ACTIVE | {"MainPID": "11"}) == "alive"


def test_a_unit_that_starts_is_waited_for() -> None:
    watch = Watch(0)
    assert watch.see(0, {"ActiveState": "activating", "SubState": "start-pre"}) == "wait"
    assert watch.see(1, ACTIVE) == "alive"


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}, "failed (exit-code)"),
        ({"ActiveState": "inactive", "SubState": "dead", "Result": "success"}, "inactive"),
        ({"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}, "systemd will try again"),
        ({}, "unknown"),
    ],
)
def test_a_unit_that_has_ended_is_dead_and_says_why(unit: dict[str, str], reason: str) -> None:
    verdict = Watch(2).see(0, unit)
    assert verdict.startswith("dead: ")
    assert reason in verdict


def test_only_lines_that_match_count_as_errors() -> None:
    log = "2026-01-01T00:00:00Z I! ready\n2026-01-01T00:00:01Z E! no credentials\n"
    assert matching_lines(log, " E! ") == ["2026-01-01T00:00:01Z E! no credentials"]
    assert matching_lines(log, None) == []


def test_show_is_read_with_equal_signs_in_values() -> None:
    assert parse_show("ActiveState=active\nEnvironment=A=B\n\n") == {"ActiveState": "active", "Environment": "A=B"}
