"""Run Command's rules: statuses, rate control, error threshold, time limits, delivery. No machine, no clock."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from lab.cloud.ssm_center import CANCEL_TOPIC, LOST_AFTER_SECONDS, SEND_TOPIC, Center, UnknownMessageError
from lab.cloud.ssm_commands import REDELIVERY_SECONDS, REPORT_GRACE_SECONDS, Command, Invocation, RateError, limit
from lab.cloud.ssm_documents import Step

STEPS = (Step("First", "aws:runShellScript"),)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def center(clock: Clock) -> Center:
    center = Center(clock)
    for name in ("i-1", "i-2", "i-3"):
        center.register(name, {"ComputerName": name})
    return center


def command(*hosts: str, concurrency: int = 50, errors: int = 0, delivery: int = 30, execution: int = 100) -> Command:
    return Command(
        command_id="c-1",
        document_name="doc",
        document_version="1",
        document={"mainSteps": []},
        steps=STEPS,
        values={},
        request={},
        requested_at=1000.0,
        delivery_seconds=delivery,
        execution_seconds=execution,
        invocations={host: Invocation(host, host) for host in hosts},
        concurrency=concurrency,
        errors_allowed=errors,
    )


def take(center: Center, host: str) -> list[str]:
    """What the host's agent gets and acknowledges."""
    messages = center.messages(host, wait_seconds=0)
    for message in messages:
        center.acknowledge(host, message.message_id)
    return [m.message_id for m in messages]


def report(center: Center, host: str, status: str, code: int = 0) -> None:
    step = {"status": status, "code": code, "standardOutput": "out", "standardError": "", "output": "out"}
    center.reply(host, f"aws.ssm.c-1.{host}", status, {"First": step})


def states(center: Center) -> dict[str, str]:
    return {i.instance_id: i.status[1] for i in center.commands()[0].invocations.values()}


@pytest.mark.parametrize(
    ("text", "targets", "least", "expected"),
    [("50", 3, 1, 50), ("10%", 50, 0, 5), ("10%", 5, 0, 0), ("10%", 5, 1, 1), ("0", 3, 0, 0), ("100%", 3, 1, 3)],
)
def test_limits_are_numbers_or_percentages_of_the_targets(text: str, targets: int, least: int, expected: int) -> None:
    assert limit(text, targets, least=least) == expected


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "5 %"])
def test_other_limits_are_refused(text: str) -> None:
    with pytest.raises(RateError):
        limit(text, 3, least=0)


def test_a_command_goes_from_pending_over_in_progress_to_success(center: Center) -> None:
    center.send(command("i-1"))
    assert center.commands()[0].status == ("Pending", "Pending")
    assert take(center, "i-1") == ["aws.ssm.c-1.i-1"]
    assert center.commands()[0].status == ("InProgress", "InProgress")
    report(center, "i-1", "Success")
    assert center.commands()[0].status == ("Success", "Success")
    assert center.commands()[0].invocations["i-1"].steps["First"].stdout == "out"


def test_no_more_hosts_than_allowed_have_the_command_at_once(center: Center) -> None:
    center.send(command("i-1", "i-2", concurrency=1))
    assert take(center, "i-2") == []
    take(center, "i-1")
    assert take(center, "i-2") == []
    report(center, "i-1", "Success")
    assert take(center, "i-2") == ["aws.ssm.c-1.i-2"]


def test_after_too_many_errors_nothing_further_starts(center: Center) -> None:
    center.send(command("i-1", "i-2", "i-3", concurrency=1, errors=1))
    for host in ("i-1", "i-2"):
        take(center, host)
        report(center, host, "Failed", 7)
    assert take(center, "i-3") == []
    assert states(center) == {"i-1": "Failed", "i-2": "Failed", "i-3": "Terminated"}
    assert center.commands()[0].status == ("Failed", "Failed")


def test_what_runs_already_ends_although_there_are_too_many_errors(center: Center) -> None:
    center.send(command("i-1", "i-2", concurrency=2))
    take(center, "i-1"), take(center, "i-2")
    report(center, "i-1", "Failed", 1)
    assert states(center)["i-2"] == "InProgress"
    report(center, "i-2", "Success")
    assert states(center) == {"i-1": "Failed", "i-2": "Success"}


def test_tolerated_errors_make_the_command_incomplete(center: Center) -> None:
    center.send(command("i-1", "i-2", errors=1))
    take(center, "i-1"), take(center, "i-2")
    report(center, "i-1", "Failed", 1)
    report(center, "i-2", "Success")
    assert center.commands()[0].status == ("Failed", "Incomplete")


def test_a_command_that_nobody_fetches_times_out_undelivered_and_is_no_error(center: Center, clock: Clock) -> None:
    center.send(command("i-1"))
    clock.now += 30
    assert take(center, "i-1") == []
    assert states(center) == {"i-1": "DeliveryTimedOut"}
    assert center.commands()[0].status == ("TimedOut", "DeliveryTimedOut")
    assert center.commands()[0].errors == 0


def test_the_delivery_time_starts_when_rate_control_lets_the_command_go(center: Center, clock: Clock) -> None:
    center.send(command("i-1", "i-2", concurrency=1))
    take(center, "i-1")
    clock.now += 60
    report(center, "i-1", "Success")
    assert take(center, "i-2") == ["aws.ssm.c-1.i-2"]


def test_an_agent_that_never_reports_the_end_times_out_and_is_an_error(center: Center, clock: Clock) -> None:
    center.send(command("i-1"))
    take(center, "i-1")
    clock.now += 100 + REPORT_GRACE_SECONDS
    assert states(center) == {"i-1": "ExecutionTimedOut"}
    assert center.commands()[0].errors == 1
    report(center, "i-1", "Success")
    assert states(center) == {"i-1": "ExecutionTimedOut"}


def test_a_message_that_is_not_acknowledged_comes_again(center: Center, clock: Clock) -> None:
    center.send(command("i-1"))
    assert len(center.messages("i-1", wait_seconds=0)) == 1
    assert center.messages("i-1", wait_seconds=0) == []
    clock.now += REDELIVERY_SECONDS
    assert len(center.messages("i-1", wait_seconds=0)) == 1


def test_a_message_is_not_for_another_host(center: Center) -> None:
    center.send(command("i-1"))
    assert take(center, "i-2") == []
    with pytest.raises(UnknownMessageError):
        center.acknowledge("i-2", "aws.ssm.c-1.i-1")


def test_cancelling_ends_what_waits_and_asks_what_runs(center: Center) -> None:
    center.send(command("i-1", "i-2", concurrency=1))
    take(center, "i-1")
    center.cancel("c-1", [])
    assert states(center) == {"i-1": "Cancelling", "i-2": "Cancelled"}
    (message,) = center.messages("i-1", wait_seconds=0)
    assert (message.topic, json.loads(message.payload)) == (CANCEL_TOPIC, {"CancelMessageId": "aws.ssm.c-1.i-1"})
    center.acknowledge("i-1", message.message_id)
    report(center, "i-1", "Cancelled", 137)
    assert center.commands()[0].status == ("Cancelled", "Cancelled")


def test_an_agent_is_not_told_to_run_what_is_over(center: Center) -> None:
    center.send(command("i-1"))
    (message,) = center.messages("i-1", wait_seconds=0)
    center.cancel("c-1", [])
    with pytest.raises(UnknownMessageError):
        center.acknowledge("i-1", message.message_id)


def test_a_waiting_agent_hears_of_a_command_at_once(center: Center) -> None:
    heard: list[Any] = []
    agent = threading.Thread(target=lambda: heard.extend(center.messages("i-1", wait_seconds=20)))
    agent.start()
    center.send(command("i-1"))
    agent.join(timeout=5)
    assert [m.topic for m in heard] == [SEND_TOPIC]


def test_only_the_latest_poll_of_a_host_gets_messages(center: Center) -> None:
    heard: list[Any] = ["nothing yet"]
    gone = threading.Thread(target=lambda: heard.__setitem__(slice(None), center.messages("i-1", wait_seconds=20)))
    gone.start()
    while not center._polls.get("i-1"):
        pass
    assert center.messages("i-1", wait_seconds=0) == []
    gone.join(timeout=5)
    assert heard == []


def test_a_host_is_online_as_long_as_its_agent_asks(center: Center, clock: Clock) -> None:
    clock.now += LOST_AFTER_SECONDS - 1
    center.messages("i-1", wait_seconds=0)
    clock.now += 2
    assert {m.instance_id: m.online(clock.now) for m in center.managed()} == {"i-1": True, "i-2": False, "i-3": False}
