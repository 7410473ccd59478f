"""Whether a service has to be activated, and what proves that it runs with its new files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import http_probe
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.activation import Activation, LogMark

ACTIVE = "ActiveState=active\nSubState=running\nMainPID=10\nResult=success\nUnitFileState=enabled\n"
FAILED = "ActiveState=failed\nSubState=failed\nMainPID=0\nResult=exit-code\nUnitFileState=enabled\n"
DEFAULTS: dict[str, Any] = {
    "service": None, "state": "started", "enabled": None, "activate": [], "activate_for": [], "timeout_seconds": 5,
    "settle_seconds": None, "log_path": None, "error_pattern": None, "probe": None,
}  # fmt: skip
PROBE = {"port": 8081, "path": "/", "contains": "new", "timeout_seconds": 3, "otherwise": ""}


class Host:
    """Runs commands: `failing` ones end with 1; the unit is in the state `shown`. A restart writes `logged` to the log."""

    def __init__(self, log: Path | None = None) -> None:
        self.shown, self.logged, self.failing = ACTIVE, "", ""
        self.commands: list[str] = []
        self.journal_since: list[str] = []
        self.log = log

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        command = " ".join(argv[2:] if argv[0] == "timeout" else argv)
        if command.startswith("systemctl show"):
            return 0, self.shown, ""
        if command.startswith("journalctl"):
            self.journal_since = [word for word in argv if word.startswith("--since=@")]
            return 0, "from the journal\n", ""
        self.commands.append(command)
        if self.log:
            with self.log.open("a") as stream:
                stream.write(self.logged)
        return (1, "", "it refused\n") if command == self.failing else (0, "", "")

    def activation(self, **options: Any) -> Activation:
        return Activation(self, DEFAULTS | options)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


@pytest.mark.parametrize(
    ("options", "rewritten", "steps", "needed"),
    [
        ({}, ["/etc/a"], [], False),
        ({"service": "shop"}, ["/etc/a"], [], True),
        ({"service": "shop"}, [], [], False),
        ({"service": "shop"}, [], ["start"], True),
        ({"service": "shop"}, [], ["enable"], False),
        ({"service": "shop", "state": "stopped"}, ["/etc/a"], ["stop"], False),
        ({"activate": [["reload"]]}, ["/etc/a"], [], True),
        ({"activate": [["reload"]], "activate_for": ["/etc/b"]}, ["/etc/a"], [], False),
        ({"activate": [["reload"]], "activate_for": ["/etc/b"]}, ["/etc/a", "/etc/b"], [], True),
    ],
)
def test_a_service_is_activated_for_its_files_and_when_it_does_not_run(
    options: dict[str, Any], rewritten: list[str], steps: list[str], needed: bool
) -> None:
    assert Host().activation(**options).is_needed(rewritten, steps) is needed


def test_a_service_that_runs_with_older_files_is_activated(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"text": "old"}

    def wait(host: str, port: int, path: str, accept: Any, deadline: float) -> str | None:
        assert (host, port, path) == ("127.0.0.1", 8081, "/")
        reason: str | None = accept(200, answers["text"])
        return reason

    monkeypatch.setattr(http_probe, "wait", wait)
    activation = Host().activation(service="shop", activate=[["reload"]], probe=PROBE)
    assert activation.is_needed([], [])
    assert activation.activate() == "it answered 200 without 'new'"
    assert activation.activate(with_probe=False) is None
    answers["text"] = "new"
    assert not activation.is_needed([], [])
    assert activation.activate() is None
    said = Host().activation(activate=[["reload"]], probe=PROBE | {"contains": "x", "otherwise": "the old one answers"})
    assert said.activate() == "the old one answers"


def test_commands_take_the_place_of_a_restart_and_the_first_that_fails_ends_it() -> None:
    host = Host()
    assert host.activation(service="shop").activate() is None
    assert host.activation(service="shop", activate=[["one"], ["two", "x"], ["three"]]).activate() is None
    assert host.commands == ["systemctl restart shop", "one", "two x", "three"]
    host.failing = "two x"
    assert (
        host.activation(activate=[["one"], ["two", "x"], ["three"]]).activate() == "two x ended with code 1: it refused"
    )


def test_a_service_that_ends_after_its_restart_does_not_run_with_its_files() -> None:
    host = Host()
    host.shown = FAILED
    activation = host.activation(service="shop")
    assert activation.activate() == "it is failed (exit-code)"
    assert activation.output() == ["from the journal"]
    assert host.journal_since, "words of a failure before this activation would be shown"
    assert activation.hint() == " See `journalctl -u shop`."


def test_after_a_reload_the_unit_is_watched_only_when_a_settling_time_is_given() -> None:
    host = Host()
    host.shown = FAILED
    assert host.activation(service="shop", activate=[["reload"]]).activate() is None
    assert (
        host.activation(service="shop", activate=[["reload"]], settle_seconds=1).activate()
        == "it is failed (exit-code)"
    )


def test_an_error_in_the_log_since_the_activation_counts_and_older_ones_do_not(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("E! from yesterday\n")
    host = Host(log)
    activation = host.activation(service="shop", settle_seconds=0, log_path=str(log), error_pattern="E! ")
    assert activation.activate() is None
    host.logged = "I! ready\nE! no credentials\n"
    assert activation.activate() == "it runs but its log has errors"
    assert activation.output() == ["E! no credentials"]
    assert activation.hint() == f" See `journalctl -u shop` and {log}."
    host.logged = "I! ready\n"
    assert activation.activate() is None
    assert activation.output() == ["I! ready"]


def test_what_a_log_gained_is_read_also_after_it_was_rotated(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert LogMark(None).gained() == "" and LogMark(str(log)).gained() == ""
    log.write_text("old\n")
    mark = LogMark(str(log))
    log.rename(tmp_path / "log.1")
    log.write_text("new, and longer than the old one\n")
    assert mark.gained() == "new, and longer than the old one\n"
