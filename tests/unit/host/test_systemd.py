"""Units: what systemctl shows, what is missing, when a start counts as settled."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import systemd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.systemd import SystemdError, Unit, Watch, show

ACTIVE = {"ActiveState": "active", "SubState": "running", "MainPID": "10", "Result": "success"}


class Systemctl:
    """Answers each command with the next output; the last one again and again."""

    def __init__(self, *outputs: str, code: int = 0) -> None:
        self.outputs, self.code = list(outputs), code
        self.commands: list[list[str]] = []

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        self.commands.append(argv)
        output = self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]
        return (self.code, "", output) if self.code else (0, output, "")


@pytest.mark.parametrize(
    ("active", "file", "at_boot", "running", "steps"),
    [
        ("active", "enabled", True, True, []),
        ("active", "static", True, True, []),
        ("activating", "enabled", True, True, []),
        ("inactive", "disabled", True, True, ["enable", "start"]),
        ("failed", "enabled", True, True, ["start"]),
        ("inactive", "", True, True, ["enable", "start"]),
        ("active", "enabled", True, False, ["stop"]),
        ("active", "enabled", False, None, ["disable"]),
        ("inactive", "masked", None, None, []),
    ],
)
def test_only_what_is_missing_is_done(
    active: str, file: str, at_boot: bool | None, running: bool | None, steps: list[str]
) -> None:
    unit = Unit(Systemctl(f"ActiveState={active}\nUnitFileState={file}\n"), "shop")
    assert unit.missing_steps(at_boot, running) == steps


def test_a_refusal_of_systemctl_is_told_in_its_words() -> None:
    unit = Unit(Systemctl("Unit shop.service not found.\n", code=5), "shop")
    assert unit.do("start") == "systemctl start shop ended with code 5: Unit shop.service not found."


def test_several_units_are_shown_by_one_call_with_equal_signs_in_values() -> None:
    run = Systemctl("ActiveState=active\nEnvironment=A=B\n\nActiveState=inactive\nEnvironment=\n")
    assert show(run, ["a", "b"], ("ActiveState", "Environment")) == {
        "a": {"ActiveState": "active", "Environment": "A=B"},
        "b": {"ActiveState": "inactive", "Environment": ""},
    }
    assert run.commands == [["systemctl", "show", "-p", "ActiveState,Environment", "a", "b"]]
    assert show(run, []) == {}
    assert len(run.commands) == 1


def test_an_answer_about_fewer_units_is_an_error_and_none_for_a_unit_of_its_own() -> None:
    with pytest.raises(SystemdError, match=r"systemctl show -p ActiveState,UnitFileState a b ended with code 0"):
        show(Systemctl("ActiveState=active\n"), ["a", "b"])
    assert Unit(Systemctl("Failed to connect to bus", code=1), "a").show() == {}


def test_units_in_memory_are_listed_with_their_state_whatever_marks_a_failed_one() -> None:
    run = Systemctl("* shop@1.service loaded failed failed Shop\nshop@2.service loaded active running Shop\n")
    assert systemd.listed(run, ["shop@*.service"]) == {"shop@1.service": "failed", "shop@2.service": "active"}
    with pytest.raises(SystemdError, match="no bus"):
        systemd.listed(Systemctl("no bus", code=1), ["shop@*.service"])


def test_the_journal_of_a_unit_is_what_its_processes_printed() -> None:
    run = Systemctl(" first\n\nlast\n")
    assert Unit(run, "shop").journal(5) == ["first", "last"]
    assert "_SYSTEMD_UNIT=shop.service" in run.commands[0]
    Unit(run, "shop@1.service").journal(5, own=False)
    assert "--unit=shop@1.service" in run.commands[1]


def test_the_journal_since_a_mark_has_nothing_from_before_and_ends_with_the_last_lines() -> None:
    run = Systemctl("first\nsecond\nlast\n")
    unit = Unit(run, "shop")
    before = time.time()
    unit.mark()
    assert unit.journal(2) == ["second", "last"]
    (since,) = [word for word in run.commands[0] if word.startswith("--since=@")]
    assert before - 0.001 <= float(since[len("--since=@") :]) <= time.time()
    assert not [word for word in run.commands[0] if word.startswith("--lines")]


def test_an_active_unit_has_settled_after_the_settling_time() -> None:
    watch = Watch(2)
    assert [watch.see(now, ACTIVE) for now in (0, 1, 2)] == [(None, False), (None, False), (None, True)]


def test_another_main_process_starts_the_settling_again() -> None:
    watch = Watch(2)
    watch.see(0, ACTIVE)
    assert watch.see(2, ACTIVE | {"MainPID": "11"}) == (None, False)
    assert watch.see(4, ACTIVE | {"MainPID": "11"}) == (None, True)


def test_a_unit_that_starts_is_waited_for() -> None:
    watch = Watch(0)
    assert watch.see(0, {"ActiveState": "activating", "SubState": "start-pre"}) == (None, False)
    assert watch.see(1, ACTIVE) == (None, True)


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}, "failed (exit-code)"),
        ({"ActiveState": "inactive", "SubState": "dead", "Result": "success"}, "inactive"),
        ({"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}, "systemd will try again"),
        ({}, "unknown"),
    ],
)
def test_a_unit_that_has_ended_says_why(shown: dict[str, str], reason: str) -> None:
    why, settled = Watch(2).see(0, shown)
    assert not settled
    assert reason in str(why)


def text(shown: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in shown.items())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that goes on only while somebody sleeps."""
    now = [100.0]
    monkeypatch.setattr(systemd, "clock", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    yield now


def test_a_start_is_watched_until_the_unit_has_settled_or_ended_or_the_time_is_over(clock: list[float]) -> None:
    starting = text(ACTIVE | {"ActiveState": "activating"})
    assert Unit(Systemctl(starting, text(ACTIVE)), "shop").settle(1, 10) is None
    assert clock[0] == pytest.approx(101.2)
    ended = Unit(Systemctl(text(ACTIVE), text({"ActiveState": "failed", "Result": "signal"})), "shop")
    assert ended.settle(1, 10) == "it is failed (signal)"
    assert Unit(Systemctl(starting), "shop").settle(1, 10) == "it did not become active within 10 s"
    assert Unit(Systemctl(text(ACTIVE)), "shop").settle(1, 10, lambda: "its log has errors") == "its log has errors"
