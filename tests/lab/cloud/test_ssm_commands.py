"""Run Command's rules: statuses, rate control, error threshold, time limits, delivery. No machine, no clock."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

import pytest

from lab.cloud.ssm.agent_api import serialized
from lab.cloud.ssm.command_records import (
    REDELIVERY_SECONDS,
    REPORT_GRACE_SECONDS,
    Command,
    Invocation,
    RateError,
    limit,
)
from lab.cloud.ssm.documents import Step
from lab.cloud.ssm.run_command import CANCEL_TOPIC, LOST_AFTER_SECONDS, SEND_TOPIC, RunCommand, UnknownMessageError

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
def run_command(clock: Clock) -> RunCommand:
    run_command = RunCommand(clock)
    for name in ("i-1", "i-2", "i-3"):
        run_command.register(name, {"ComputerName": name})
    return run_command


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


def take(run_command: RunCommand, host: str) -> list[str]:
    """What the host's agent gets and acknowledges."""
    messages = run_command.messages(host, wait_seconds=0)
    for message in messages:
        run_command.acknowledge(host, message.message_id)
    return [m.message_id for m in messages]


def report(run_command: RunCommand, host: str, status: str, code: int = 0) -> None:
    step = {"status": status, "code": code, "standardOutput": "out", "standardError": "", "output": "out"}
    run_command.reply(host, f"aws.ssm.c-1.{host}", status, {"First": step})


def states(run_command: RunCommand) -> dict[str, str]:
    return {i.instance_id: i.status[1] for i in run_command.commands()[0].invocations.values()}


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


def test_a_command_goes_from_pending_over_in_progress_to_success(run_command: RunCommand) -> None:
    run_command.send(command("i-1"))
    assert run_command.commands()[0].status == ("Pending", "Pending")
    assert take(run_command, "i-1") == ["aws.ssm.c-1.i-1"]
    assert run_command.commands()[0].status == ("InProgress", "InProgress")
    report(run_command, "i-1", "Success")
    assert run_command.commands()[0].status == ("Success", "Success")
    assert run_command.commands()[0].invocations["i-1"].steps["First"].stdout == "out"


def test_no_more_hosts_than_allowed_have_the_command_at_once(run_command: RunCommand) -> None:
    run_command.send(command("i-1", "i-2", concurrency=1))
    assert take(run_command, "i-2") == []
    take(run_command, "i-1")
    assert take(run_command, "i-2") == []
    report(run_command, "i-1", "Success")
    assert take(run_command, "i-2") == ["aws.ssm.c-1.i-2"]


def test_after_too_many_errors_nothing_further_starts(run_command: RunCommand) -> None:
    run_command.send(command("i-1", "i-2", "i-3", concurrency=1, errors=1))
    for host in ("i-1", "i-2"):
        take(run_command, host)
        report(run_command, host, "Failed", 7)
    assert take(run_command, "i-3") == []
    assert states(run_command) == {"i-1": "Failed", "i-2": "Failed", "i-3": "Terminated"}
    assert run_command.commands()[0].status == ("Failed", "Failed")


def test_what_runs_already_ends_although_there_are_too_many_errors(run_command: RunCommand) -> None:
    run_command.send(command("i-1", "i-2", concurrency=2))
    take(run_command, "i-1"), take(run_command, "i-2")
    report(run_command, "i-1", "Failed", 1)
    assert states(run_command)["i-2"] == "InProgress"
    report(run_command, "i-2", "Success")
    assert states(run_command) == {"i-1": "Failed", "i-2": "Success"}


def test_tolerated_errors_make_the_command_incomplete(run_command: RunCommand) -> None:
    run_command.send(command("i-1", "i-2", errors=1))
    take(run_command, "i-1"), take(run_command, "i-2")
    report(run_command, "i-1", "Failed", 1)
    report(run_command, "i-2", "Success")
    assert run_command.commands()[0].status == ("Failed", "Incomplete")


def test_a_command_that_nobody_fetches_times_out_undelivered_and_is_no_error(
    run_command: RunCommand, clock: Clock
) -> None:
    run_command.send(command("i-1"))
    clock.now += 30
    assert take(run_command, "i-1") == []
    assert states(run_command) == {"i-1": "DeliveryTimedOut"}
    assert run_command.commands()[0].status == ("TimedOut", "DeliveryTimedOut")
    assert run_command.commands()[0].errors == 0


def test_the_delivery_time_starts_when_rate_control_lets_the_command_go(run_command: RunCommand, clock: Clock) -> None:
    run_command.send(command("i-1", "i-2", concurrency=1))
    take(run_command, "i-1")
    clock.now += 60
    report(run_command, "i-1", "Success")
    assert take(run_command, "i-2") == ["aws.ssm.c-1.i-2"]


def test_an_agent_that_never_reports_the_end_times_out_and_is_an_error(run_command: RunCommand, clock: Clock) -> None:
    run_command.send(command("i-1"))
    take(run_command, "i-1")
    clock.now += 100 + REPORT_GRACE_SECONDS
    assert states(run_command) == {"i-1": "ExecutionTimedOut"}
    assert run_command.commands()[0].errors == 1
    report(run_command, "i-1", "Success")
    assert states(run_command) == {"i-1": "ExecutionTimedOut"}


def test_a_message_that_is_not_acknowledged_comes_again(run_command: RunCommand, clock: Clock) -> None:
    run_command.send(command("i-1"))
    assert len(run_command.messages("i-1", wait_seconds=0)) == 1
    assert run_command.messages("i-1", wait_seconds=0) == []
    clock.now += REDELIVERY_SECONDS
    assert len(run_command.messages("i-1", wait_seconds=0)) == 1


def test_a_message_is_not_for_another_host(run_command: RunCommand) -> None:
    run_command.send(command("i-1"))
    assert take(run_command, "i-2") == []
    with pytest.raises(UnknownMessageError):
        run_command.acknowledge("i-2", "aws.ssm.c-1.i-1")


def test_cancelling_ends_what_waits_and_asks_what_runs(run_command: RunCommand) -> None:
    run_command.send(command("i-1", "i-2", concurrency=1))
    take(run_command, "i-1")
    run_command.cancel("c-1", [])
    assert states(run_command) == {"i-1": "Cancelling", "i-2": "Cancelled"}
    (message,) = run_command.messages("i-1", wait_seconds=0)
    assert (message.topic, json.loads(message.payload)) == (CANCEL_TOPIC, {"CancelMessageId": "aws.ssm.c-1.i-1"})
    run_command.acknowledge("i-1", message.message_id)
    report(run_command, "i-1", "Cancelled", 137)
    assert run_command.commands()[0].status == ("Cancelled", "Cancelled")


@pytest.mark.parametrize("acknowledged", [True, False])
@pytest.mark.parametrize("status", ["Success", "Failed"])
def test_what_an_agent_replies_about_a_cancellation_is_taken_and_decides_nothing(
    run_command: RunCommand, status: str, acknowledged: bool
) -> None:
    run_command.send(command("i-1"))
    take(run_command, "i-1")
    run_command.cancel("c-1", [])
    (message,) = run_command.messages("i-1", wait_seconds=0)
    if acknowledged:
        run_command.acknowledge("i-1", message.message_id)
    run_command.reply("i-1", message.message_id, status, {})
    assert states(run_command) == {"i-1": "Cancelling"}
    report(run_command, "i-1", "Cancelled", 137)
    run_command.reply("i-1", message.message_id, status, {})
    assert run_command.commands()[0].status == ("Cancelled", "Cancelled")
    with pytest.raises(UnknownMessageError):
        run_command.reply("i-1", "aws.ssm.another.i-1", status, {})


def test_a_failure_that_comes_before_the_acknowledgement_counts(run_command: RunCommand) -> None:
    run_command.send(command("i-1"))
    run_command.messages("i-1", wait_seconds=0)
    report(run_command, "i-1", "Failed", 1)
    assert run_command.commands()[0].status == ("Failed", "Failed")
    assert run_command.commands()[0].invocations["i-1"].steps["First"].code == 1


def test_a_host_that_is_to_reboot_is_in_progress(run_command: RunCommand) -> None:
    run_command.send(command("i-1"))
    take(run_command, "i-1")
    report(run_command, "i-1", "SuccessAndReboot", 194)
    assert run_command.commands()[0].status == ("InProgress", "InProgress")
    report(run_command, "i-1", "Success")
    assert run_command.commands()[0].status == ("Success", "Success")


def test_an_agent_gets_messages_that_say_when_they_were_made(run_command: RunCommand, clock: Clock) -> None:
    run_command.send(command("i-1"))
    clock.now += 5
    (message,) = run_command.messages("i-1", wait_seconds=0)
    shown = serialized(message, "i-1")
    assert (shown["CreatedDate"], shown["Destination"]) == ("1970-01-01T00:16:40.000Z", "i-1")
    assert shown["PayloadDigest"] == hashlib.sha256(message.payload.encode()).hexdigest()


def test_an_agent_is_not_told_to_run_what_is_over(run_command: RunCommand) -> None:
    run_command.send(command("i-1"))
    (message,) = run_command.messages("i-1", wait_seconds=0)
    run_command.cancel("c-1", [])
    with pytest.raises(UnknownMessageError):
        run_command.acknowledge("i-1", message.message_id)


def test_a_waiting_agent_hears_of_a_command_at_once(run_command: RunCommand) -> None:
    heard: list[Any] = []
    agent = threading.Thread(target=lambda: heard.extend(run_command.messages("i-1", wait_seconds=20)))
    agent.start()
    run_command.send(command("i-1"))
    agent.join(timeout=5)
    assert [m.topic for m in heard] == [SEND_TOPIC]


def test_only_the_latest_poll_of_a_host_gets_messages(run_command: RunCommand) -> None:
    heard: list[Any] = ["nothing yet"]
    gone = threading.Thread(target=lambda: heard.__setitem__(slice(None), run_command.messages("i-1", wait_seconds=20)))
    gone.start()
    while not run_command._polls.get("i-1"):
        pass
    assert run_command.messages("i-1", wait_seconds=0) == []
    gone.join(timeout=5)
    assert heard == []


def test_a_host_is_online_as_long_as_its_agent_asks(run_command: RunCommand, clock: Clock) -> None:
    clock.now += LOST_AFTER_SECONDS - 1
    run_command.messages("i-1", wait_seconds=0)
    clock.now += 2
    assert {m.instance_id: m.online(clock.now) for m in run_command.managed()} == {
        "i-1": True,
        "i-2": False,
        "i-3": False,
    }
