"""A command and its invocations: statuses, rate control, error threshold, time limits. Data and rules only, no clock, no API.

Rules from the AWS Systems Manager User Guide, "Understanding command statuses" and "Run commands at scale", and from the
API Reference of Command and CommandInvocation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.cloud.ssm.documents import Step

PENDING = ("Pending", "Pending")
IN_PROGRESS = ("InProgress", "InProgress")
CANCELLING = ("Cancelling", "Cancelling")
SUCCESS = ("Success", "Success")
FAILED = ("Failed", "Failed")
CANCELLED = ("Cancelled", "Cancelled")
TERMINATED = ("Failed", "Terminated")
DELIVERY_TIMED_OUT = ("TimedOut", "DeliveryTimedOut")
EXECUTION_TIMED_OUT = ("TimedOut", "ExecutionTimedOut")
UNDELIVERABLE = ("Failed", "Undeliverable")
INCOMPLETE = ("Failed", "Incomplete")
NO_INSTANCES = ("Failed", "NoInstancesInTag")

NOT_ENDED = frozenset({"Pending", "InProgress", "Cancelling"})
COUNTED_AS_ERRORS = (FAILED, EXECUTION_TIMED_OUT)
AGENT_STATUSES: Mapping[str, tuple[str, str]] = {
    "NotStarted": PENDING,
    "Pending": PENDING,
    "InProgress": IN_PROGRESS,
    "SuccessAndReboot": IN_PROGRESS,
    "Cancelling": CANCELLING,
    "Success": SUCCESS,
    "Failed": FAILED,
    "TimedOut": EXECUTION_TIMED_OUT,
    "Cancelled": CANCELLED,
    "Skipped": SUCCESS,
}
"""What an agent reports for a document or a step → status and details. The API has no status for a skipped step."""

REPORT_GRACE_SECONDS = 60
"""How long after the time limit of all steps an agent may take to report before its invocation counts as timed out."""
REDELIVERY_SECONDS = 10
"""A message that no agent acknowledges becomes visible again after this."""


class RateError(ValueError):
    """MaxConcurrency or MaxErrors is not a number or a percentage."""


def limit(text: str, targets: int, *, least: int) -> int:
    """`3` or `25%` of the targets, rounded down, but not under `least`."""
    if not (found := re.fullmatch(r"(\d{1,7})(%?)", text)) or (found[2] and int(found[1]) > 100):
        raise RateError(f"{text!r} is not a number or a percentage")
    number = int(found[1])
    return max(least, math.floor(targets * number / 100) if found[2] else number)


@dataclass
class StepResult:
    """What the agent reported of one step."""

    name: str
    action: str
    folder: str = ""
    status: tuple[str, str] = PENDING
    code: int = -1
    output: str = ""
    stdout: str = ""
    stderr: str = ""
    started: str = ""
    ended: str = ""


@dataclass
class Invocation:
    """One command on one instance."""

    instance_id: str
    computer_name: str
    status: tuple[str, str] = PENDING
    queued_at: float | None = None
    """When the command was made available to the agent; None while rate control holds it back."""
    visible_at: float = 0.0
    started_at: float | None = None
    """When the agent acknowledged it."""
    cancel_message: str | None = None
    """The id of the message that cancels the command."""
    cancel_delivered: bool = False
    steps: dict[str, StepResult] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status[0] not in NOT_ENDED

    @property
    def active(self) -> bool:
        return self.queued_at is not None and not self.ended


@dataclass
class Command:
    """A SendCommand request and what became of it."""

    command_id: str
    document_name: str
    document_version: str
    document: Mapping[str, Any]
    steps: Sequence[Step]
    values: Mapping[str, Any]
    """Every parameter's value, in its own type: what the agent gets."""
    request: Mapping[str, Any]
    """The request's fields as they are shown again."""
    requested_at: float
    delivery_seconds: int
    execution_seconds: int
    invocations: dict[str, Invocation]
    concurrency: int
    errors_allowed: int
    cancelled: bool = False

    @property
    def errors(self) -> int:
        return sum(i.status in COUNTED_AS_ERRORS for i in self.invocations.values())

    @property
    def stopped(self) -> bool:
        """More errors than allowed: nothing further starts."""
        return self.errors > self.errors_allowed

    @property
    def expires_at(self) -> float:
        """The total timeout: delivery and execution."""
        return self.requested_at + self.delivery_seconds + self.execution_seconds

    @property
    def status(self) -> tuple[str, str]:
        """Aggregated over the invocations."""
        if all(i.ended for i in self.invocations.values()):
            return self._final_status()
        if self.cancelled:
            return CANCELLING
        started = any(i.started_at is not None or i.ended for i in self.invocations.values())
        return IN_PROGRESS if started else PENDING

    def _final_status(self) -> tuple[str, str]:
        found = [i.status for i in self.invocations.values()]
        rules = (
            (not found, NO_INSTANCES),
            (self.cancelled and CANCELLED in found, CANCELLED),
            (set(found) == {SUCCESS}, SUCCESS),
            (self.stopped, FAILED if FAILED in found else EXECUTION_TIMED_OUT),
            (found.count(DELIVERY_TIMED_OUT) > self.errors_allowed, DELIVERY_TIMED_OUT),
        )
        return next((status for applies, status in rules if applies), INCOMPLETE)

    def advance(self, now: float) -> None:
        """Ends what is out of time, ends what will not start any more, and makes available what may start now."""
        for invocation in self.invocations.values():
            if invocation.active:
                self._end_late(invocation, now)
        waiting = [i for i in self.invocations.values() if i.queued_at is None and not i.ended]
        if self.stopped or self.cancelled:
            for invocation in waiting:
                invocation.status = CANCELLED if self.cancelled else TERMINATED
            return
        free = self.concurrency - sum(i.active for i in self.invocations.values())
        for invocation in waiting[: max(0, free)]:
            invocation.queued_at = invocation.visible_at = now

    def _end_late(self, invocation: Invocation, now: float) -> None:
        if invocation.started_at is None:
            assert invocation.queued_at is not None  # noqa: S101 - it is active
            if now >= invocation.queued_at + self.delivery_seconds:
                invocation.status = CANCELLED if self.cancelled else DELIVERY_TIMED_OUT
        elif now >= invocation.started_at + self.execution_seconds + REPORT_GRACE_SECONDS:
            invocation.status = EXECUTION_TIMED_OUT

    def acknowledge(self, instance_id: str, now: float) -> bool:
        """The agent has taken the command, or replies to it already. False if it is no longer to be run."""
        invocation = self.invocations[instance_id]
        if invocation.ended:
            return False
        if invocation.started_at is None:
            invocation.started_at = now
            invocation.status = IN_PROGRESS
            invocation.steps = {s.name: StepResult(s.name, s.action, s.folder) for s in self.steps}
        return True

    def report(self, instance_id: str, status: str, steps: Mapping[str, Mapping[str, Any]], now: float) -> None:
        """The agent's account of the document so far. A reply is an acknowledgement too. What comes after the end is ignored."""
        invocation = self.invocations[instance_id]
        if not self.acknowledge(instance_id, now):
            return
        for name, reported in steps.items():
            if name in invocation.steps:
                _fill(invocation.steps[name], reported)
        reported_status = AGENT_STATUSES[status]
        if reported_status[0] not in NOT_ENDED:
            invocation.status = reported_status

    def cancel(self, instance_ids: Sequence[str], new_message_id: Mapping[str, str]) -> None:
        """Ends what has not started; what runs gets a message (ids per instance) and ends when its agent says so."""
        chosen = [i for i in self.invocations.values() if not instance_ids or i.instance_id in instance_ids]
        self.cancelled = self.cancelled or len(chosen) == len(self.invocations)
        for invocation in chosen:
            if invocation.ended:
                continue
            if invocation.started_at is None:
                invocation.status = CANCELLED
            elif invocation.status != CANCELLING:
                invocation.status = CANCELLING
                invocation.cancel_message, invocation.visible_at = new_message_id[invocation.instance_id], 0.0


def _fill(step: StepResult, reported: Mapping[str, Any]) -> None:
    step.status = AGENT_STATUSES[reported["status"]]
    step.code = int(reported["code"])
    step.output = str(reported.get("output", ""))
    step.stdout = str(reported.get("standardOutput", ""))
    step.stderr = str(reported.get("standardError", ""))
    step.started = str(reported.get("startDateTime", ""))
    step.ended = str(reported.get("endDateTime", ""))
