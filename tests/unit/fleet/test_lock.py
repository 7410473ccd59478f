"""One operation at a time: who holds the fleet, who is refused, who may take over."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet import holder
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.lock import HeldError, Lock
from moto import mock_aws

NAME = "/fleet/shop/prod/al2023/operation/lock"
ALICE = {"name": "alice@ctl1", "node": "ctl1", "pid": 10, "started": "1"}
BOB = {"name": "bob@ctl2", "node": "ctl2", "pid": 20, "started": "2"}


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1")


class Place:
    """Where runs ask for the fleet: the same parameter, a clock, and who still runs."""

    def __init__(self, ssm: Any) -> None:
        self.ssm = ssm
        self.time = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.running = [ALICE, BOB]

    def of(self, me: dict[str, Any], ssm: Any = None) -> Lock:
        return Lock(ssm or self.ssm, NAME, me, now=lambda: self.time, runs=lambda one: one in self.running)

    def holder(self) -> str | None:
        found = self.ssm.get_parameters(Names=[NAME])["Parameters"]
        return str(json.loads(found[0]["Value"])["holder"]["name"]) if found else None


@pytest.fixture
def place(ssm: Any) -> Place:
    return Place(ssm)


def test_the_second_is_told_who_holds_the_fleet_since_when_and_what_to_do(place: Place) -> None:
    place.of(ALICE).acquire("roll (1.1.0)", 300)
    place.time += timedelta(seconds=13)
    with pytest.raises(HeldError) as caught:
        place.of(BOB).acquire("roll (1.1.0)", 300)
    told = str(caught.value)
    assert told.startswith(
        "roll (1.1.0) by alice@ctl1 (process 10, since 2026-01-01T12:00:00+00:00) holds the fleet. Nothing"
    )
    assert "from 2026-01-01T12:05:00+00:00 on, or at once with -e fleet_take_over=true" in told
    assert place.holder() == "alice@ctl1"


def test_of_two_at_the_same_moment_one_holds_the_fleet(place: Place) -> None:
    class Late:
        """Alice begins between Bob's look and his write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(place.ssm, name)

        def put_parameter(self, **asked: Any) -> Any:
            place.of(ALICE).acquire("roll (1.1.0)", 300)
            return place.ssm.put_parameter(**asked)

    with pytest.raises(HeldError, match="alice@ctl1"):
        place.of(BOB, Late()).acquire("roll (1.1.0)", 300)
    assert place.holder() == "alice@ctl1"


def test_of_two_that_take_over_at_the_same_moment_one_holds_the_fleet(place: Place) -> None:
    dead = {"name": "carol@ctl3", "node": "ctl3", "pid": 1, "started": "0"}
    place.of(dead).acquire("roll (1.1.0)", 300)
    place.time += timedelta(seconds=301)

    class Late:
        def __init__(self) -> None:
            self.first = True

        def __getattr__(self, name: str) -> Any:
            return getattr(place.ssm, name)

        def put_parameter(self, **asked: Any) -> Any:
            if self.first:
                self.first = False
                place.of(ALICE).acquire("roll (1.1.0)", 300)
            return place.ssm.put_parameter(**asked)

    with pytest.raises(HeldError, match="alice@ctl1"):
        place.of(BOB, Late()).acquire("roll (1.1.0)", 300)
    assert place.holder() == "alice@ctl1"
    place.of(ALICE).renew(300)


def test_a_run_that_was_killed_is_taken_over_at_once_on_the_same_node(place: Place) -> None:
    place.of(ALICE).acquire("roll (1.1.0)", 300)
    again = {**ALICE, "pid": 11}
    with pytest.raises(HeldError):
        place.of(again).acquire("roll (1.1.0)", 300)
    place.running.remove(ALICE)
    place.of(again).acquire("roll (1.1.0)", 300)


def test_from_another_node_a_run_is_taken_over_when_its_time_is_over(place: Place) -> None:
    place.of(ALICE).acquire("roll (1.1.0)", 300)
    place.time += timedelta(seconds=200)
    place.of(ALICE).renew(300)
    place.time += timedelta(seconds=200)
    with pytest.raises(HeldError):
        place.of(BOB).acquire("roll (1.1.0)", 300)
    place.time += timedelta(seconds=101)
    place.of(BOB).acquire("roll (1.1.0)", 300)
    assert place.holder() == "bob@ctl2"


def test_a_run_that_was_taken_over_on_purpose_is_told_and_ends_nothing(place: Place) -> None:
    place.of(ALICE).acquire("roll (1.1.0)", 300)
    place.of(BOB).acquire("roll (1.1.0)", 300, take_over=True)
    with pytest.raises(HeldError, match=r"bob@ctl2.*has taken over"):
        place.of(ALICE).renew(300)
    place.of(ALICE).release()
    assert place.holder() == "bob@ctl2"


def test_a_hold_that_has_ended_gives_way_and_ending_it_twice_is_no_error(place: Place) -> None:
    place.of(ALICE).acquire("roll (1.1.0)", 300)
    place.of(ALICE).release()
    place.of(ALICE).release()
    place.of(BOB).acquire("patch (Install)", 300)
    assert place.holder() == "bob@ctl2"


HELD = {"holder": ALICE, "doing": "roll (1.1.0)", "since": "2026-11-30", "until": "2099-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    "value",
    [
        "mine",
        "[]",
        '{"holder": {}}',
        json.dumps({**HELD, "until": "2099-01-01T00:00:00"}),
        json.dumps({**HELD, "until": "tomorrow"}),
        json.dumps({**HELD, "holder": {"node": ALICE["node"]}}),
        json.dumps({**HELD, "holder": {**ALICE, "pid": "4711"}}),
        json.dumps({name: value for name, value in HELD.items() if name != "doing"}),
    ],
)
def test_a_foreign_parameter_is_refused_instead_of_overwritten(place: Place, value: str) -> None:
    place.ssm.put_parameter(Name=NAME, Value=value, Type="String")
    with pytest.raises(HeldError, match="not one of ours"):
        place.of(ALICE).acquire("roll (1.1.0)", 300, take_over=True)


def _from_a_worker(answer: Any) -> None:
    answer.put(holder.this_run())


def test_a_worker_of_a_run_is_the_same_run_as_its_parent() -> None:
    fork = multiprocessing.get_context("fork")
    answer = fork.Queue()
    worker = fork.Process(target=_from_a_worker, args=(answer,))
    worker.start()
    assert answer.get(timeout=30) == holder.this_run()
    worker.join()
    assert holder.this_run()["pid"] == os.getpid()


def test_a_process_that_has_ended_or_whose_number_another_has_no_longer_runs() -> None:
    process = subprocess.Popen(["sleep", "60"])
    one = {"pid": process.pid, "started": holder.started(process.pid)}
    assert holder.runs(one)
    assert not holder.runs({**one, "started": "1"})
    process.kill()
    process.wait()
    assert not holder.runs(one)


def test_without_a_proc_file_system_the_number_has_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(holder, "PROC", tmp_path)
    process = subprocess.Popen(["sleep", "60"])
    assert holder.runs({"pid": process.pid, "started": ""})
    process.kill()
    process.wait()
    assert not holder.runs({"pid": process.pid, "started": ""})
