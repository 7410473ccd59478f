"""After the next release was deployed under watch, and broken ones were refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fleet_testing import eventually
from fleet_units import environment, is_amazon_linux_2, main_process


def test_the_host_answered_all_the_time(host: Any) -> None:
    seen = json.loads(host.check_output("cat /run/watch.json"))
    assert seen["rounds"] > 50
    assert seen["rounds_with_none"] == 0
    assert seen["rounds_with_one_silent"] > 0, "the watcher saw no restart, so it proves nothing"
    assert seen["versions"] == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("port", [3000, 3001])
def test_the_good_release_serves_after_the_broken_ones(host: Any, port: int) -> None:
    assert json.loads(host.check_output(f"curl -s http://127.0.0.1:{port}/version"))["version"] == "1.1.0"


@pytest.mark.parametrize("port", [3000, 3001])
def test_the_process_has_the_words_of_its_command_as_they_are_written(host: Any, port: int) -> None:
    encoded = host.check_output(f"base64 --wrap=0 /proc/{main_process(host, f'app@{port}')}/cmdline")
    assert base64.b64decode(encoded).decode().split("\0")[1:-1] == [
        "server.js", "--log=gc-%t.log", "--h=%H", "50%off", "$HOME", "%%", "$$", "%i", "--greeting=Hello shop", "a;b", "it's", 'a "b" \\',
        "é", "", "@",
    ]  # fmt: skip


def test_the_runtime_from_before_runs_it_after_others_were_refused(host: Any) -> None:
    program = host.check_output(f"readlink /proc/{main_process(host, 'app@3000')}/exe")
    runtimes = host.check_output("ls -A /opt/app/runtimes").split()
    # A refused one left nothing; the one of a release that was not ready goes with the next that is.
    assert len(runtimes) == 1
    expected = f"/opt/app/runtimes/{runtimes[0]}/bin/node" if is_amazon_linux_2(host) else "/usr/bin/node-24"
    assert program == expected


def test_the_current_link_is_that_of_the_good_release(host: Any) -> None:
    assert host.file("/opt/app/current").linked_to == "/opt/app/releases/1.1.0"


def test_a_refused_artifact_left_nothing(host: Any) -> None:
    assert set(host.check_output("ls -A /opt/app/releases").split()) == {"1.0.0", "1.1.0", "6.0.2", "6.0.3"}


def test_a_running_request_is_finished_when_the_instance_stops(host: Any) -> None:
    script = "(curl -s -o /dev/null -w '%{http_code}' 'http://127.0.0.1:3000/slow?ms=800' & sleep 0.3; systemctl restart app@3000; wait)"
    assert host.check_output(script) == "200"


@pytest.mark.parametrize("port", [3000, 3001])
def test_a_changed_secret_reached_each_process_without_a_deployment(host: Any, port: int) -> None:
    def read() -> dict[str, str]:
        return environment(host, main_process(host, f"app@{port}"))

    # A process that has just been restarted still has systemd's own environment.
    assert eventually(lambda: "PORT" in read())
    assert "second-password-7Jq" in read().values()
    pid = main_process(host, f"app@{port}")
    path = f"{environment(host, pid)['CREDENTIALS_DIRECTORY']}/token"
    assert host.check_output(f"nsenter --target {pid} --mount cat {path}") == "second-token-4Xz"


def test_the_host_answered_all_the_time_while_values_changed(host: Any) -> None:
    seen = json.loads(host.check_output("cat /run/watch-rotation.json"))
    assert seen["rounds"] > 20
    assert seen["rounds_with_none"] == 0
    assert seen["rounds_with_one_silent"] > 0, "the watcher saw no restart, so it proves nothing"


def test_the_journal_tells_what_became_of_changes(host: Any) -> None:
    said = host.check_output("journalctl --no-pager --output=cat --unit=app-configuration.service")
    for expected in (
        "changed values are used by ports 3000, 3001",
        "nothing has changed",
        "the changed values were taken back, because app@3000.service is not ready",
        "The values from before are used on all ports",
        "the values are still those with which the application did not get ready",
    ):
        assert expected in said
    assert "second-" not in said


def test_values_that_nobody_uses_any_more_are_gone(host: Any) -> None:
    kept = host.check_output("cd /run/app-values && ls -d values-*").split()
    named = host.check_output("cd /run/app-values && readlink current applied refused next || :").split()
    assert set(kept) == set(named)
