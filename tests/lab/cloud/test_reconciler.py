"""The reconciler's loop: what fails in one place does not stop another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.cloud.reconciler import Actions, Reconciler, lock, wake
from lab.settings import Settings
from tests.support.waiting import wait_for


class Counting:
    def __init__(self, error: Exception | None = None) -> None:
        self.passes = 0
        self.closed = False
        self._error = error

    def settle(self, actions: Actions) -> None:
        self.passes += 1
        if self._error:
            raise self._error

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def actions() -> Iterator[Actions]:
    made = Actions()
    yield made
    made.close()


def nothing(_: Any) -> None:
    pass


def test_a_part_that_fails_does_not_stop_the_others_nor_the_loop() -> None:
    bad, good = Counting(RuntimeError("broken")), Counting()
    reconciler = Reconciler(Settings.load({}), [bad, good])
    reconciler.start()
    wait_for("third pass", lambda: good.passes >= 3)
    reconciler.stop()
    assert bad.passes >= 3
    assert bad.closed and good.closed


def test_a_changed_record_starts_a_pass_at_once() -> None:
    part = Counting()
    reconciler = Reconciler(Settings.load({}), [part])
    reconciler.start()
    wait_for("first pass", lambda: part.passes)
    before, start = part.passes, time.monotonic()
    wake()
    wait_for("pass", lambda: part.passes > before, every=0.005)
    assert time.monotonic() - start < 0.2
    reconciler.stop()


def test_one_key_has_one_action_at_a_time(actions: Actions) -> None:
    release = threading.Event()
    assert actions.start("i-1", release.wait, nothing, nothing)
    assert not actions.start("i-1", release.wait, nothing, nothing)
    assert actions.start("i-2", lambda: None, nothing, nothing)
    assert actions.busy("i-1")
    release.set()
    wait_for("end of the action", lambda: not actions.busy("i-1"))


def test_an_action_that_fails_is_reported_and_not_repeated_at_once(actions: Actions) -> None:
    errors: list[Exception] = []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    actions.start("ami-1", fail, nothing, errors.append)
    wait_for("report", lambda: errors)
    assert "No space left" in str(errors[0])
    wait_for("end", lambda: not actions.busy("ami-1"))
    assert not actions.start("ami-1", fail, nothing, errors.append)


def test_outcomes_are_written_under_the_lock(actions: Actions) -> None:
    done = threading.Event()
    with lock:
        actions.start("i-1", lambda: None, lambda _: done.set(), nothing)
        assert not done.wait(0.2)
    assert done.wait(2)


class Other(Counting):
    """Another kind of part."""


class Working(Counting):
    """Starts one action that lasts until it is told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on, self.done = threading.Event(), threading.Event(), threading.Event()

    def settle(self, actions: Actions) -> None:
        super().settle(actions)

        def work() -> None:
            self.begun.set()
            self.go_on.wait(10)

        if not self.begun.is_set():
            actions.start("work", work, lambda _: self.done.set(), nothing)


def test_a_pause_begins_when_the_last_action_has_ended_and_no_pass_is_made_in_it() -> None:
    part = Working()
    reconciler = Reconciler(Settings.load({}), [part])
    reconciler.start()
    assert part.begun.wait(10)
    threading.Timer(0.3, part.go_on.set).start()
    with reconciler.paused():
        assert part.done.is_set()
        passes = part.passes
        wake()
        time.sleep(0.3)
        assert part.passes == passes
    wait_for("a pass after the pause", lambda: part.passes > passes)
    reconciler.stop()


def test_in_a_pause_all_parts_but_one_kind_catch_up_until_the_lab_is_ready() -> None:
    part, left_out = Counting(), Other()
    reconciler = Reconciler(Settings.load({}), [part, left_out])
    with reconciler.paused():
        assert reconciler.catch_up(lambda: part.passes >= 3, 10, without=Other)
        assert (part.passes, left_out.passes) == (3, 0)
        assert not reconciler.catch_up(lambda: False, 0.3, without=Other)
    reconciler.stop()
