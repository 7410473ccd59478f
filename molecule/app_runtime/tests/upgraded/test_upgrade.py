"""After the next release was deployed under watch, and broken ones were refused."""

from __future__ import annotations

import json
from typing import Any

import pytest


def test_the_host_answered_all_the_time(host: Any) -> None:
    seen = json.loads(host.check_output("cat /run/watch.json"))
    assert seen["rounds"] > 50
    assert seen["rounds_with_none"] == 0
    assert seen["rounds_with_one_silent"] > 0, "the watcher saw no restart, so it proves nothing"
    assert seen["versions"] == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("port", [3000, 3001])
def test_the_good_release_serves_after_the_broken_ones(host: Any, port: int) -> None:
    assert json.loads(host.check_output(f"curl -s http://127.0.0.1:{port}/version"))["version"] == "1.1.0"


def test_the_current_link_is_that_of_the_good_release(host: Any) -> None:
    assert host.file("/opt/app/current").linked_to == "/opt/app/releases/1.1.0"


def test_a_refused_artifact_left_nothing(host: Any) -> None:
    assert set(host.check_output("ls -A /opt/app/releases").split()) == {"1.0.0", "1.1.0", "6.0.2"}


def test_a_running_request_is_finished_when_the_instance_stops(host: Any) -> None:
    script = "(curl -s -o /dev/null -w '%{http_code}' 'http://127.0.0.1:3000/slow?ms=800' & sleep 0.3; systemctl restart app@3000; wait)"
    assert host.check_output(script) == "200"
