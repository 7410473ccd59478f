"""Run Command of one region: managed instances, commands, and the message queues that agents poll."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.cloud.ssm.command_records import REDELIVERY_SECONDS, Command, Invocation

LOST_AFTER_SECONDS = 25
"""An agent asks for messages at least every ten seconds. AWS takes some minutes to notice that one has gone."""
LONGEST_POLL_SECONDS = 10.0
SEND_TOPIC = "aws.ssm.sendCommand"
CANCEL_TOPIC = "aws.ssm.cancelCommand"


@dataclass
class Managed:
    """An instance whose agent has registered."""

    instance_id: str
    registered_at: float
    last_ping: float
    information: Mapping[str, Any]
    """What the agent sent in UpdateInstanceInformation."""

    def online(self, now: float) -> bool:
        return now - self.last_ping < LOST_AFTER_SECONDS


@dataclass(frozen=True)
class Message:
    """What GetMessages hands to an agent."""

    message_id: str
    topic: str
    payload: str
    created_at: float
    """The agent takes no message without it."""


class UnknownMessageError(KeyError):
    """There is no such message for this instance."""


class RunCommand:
    """All methods may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._managed: dict[str, Managed] = {}
        self._commands: dict[str, Command] = {}
        self._polls: dict[str, int] = {}

    def register(self, instance_id: str, information: Mapping[str, Any]) -> None:
        """An agent's UpdateInstanceInformation: the first one and every heartbeat."""
        now = self._clock()
        with self._changed:
            known = self._managed.get(instance_id)
            registered = known.registered_at if known else now
            self._managed[instance_id] = Managed(instance_id, registered, now, dict(information))

    def managed(self) -> list[Managed]:
        with self._changed:
            return list(self._managed.values())

    def forget(self, instance_id: str) -> None:
        """The instance is gone for good."""
        with self._changed:
            self._managed.pop(instance_id, None)

    def now(self) -> float:
        return self._clock()

    def send(self, command: Command) -> None:
        with self._changed:
            self._commands[command.command_id] = command
            self._advance()
            self._changed.notify_all()

    def commands(self) -> list[Command]:
        """Newest first, brought up to date."""
        with self._changed:
            self._advance()
            return list(reversed(self._commands.values()))

    def cancel(self, command_id: str, instance_ids: Sequence[str]) -> None:
        with self._changed:
            command = self._commands[command_id]
            ids = {i: f"aws.ssm.{uuid.uuid4()}.{i}" for i in command.invocations}
            command.cancel(instance_ids, ids)
            self._advance()
            self._changed.notify_all()

    def messages(self, instance_id: str, wait_seconds: float = LONGEST_POLL_SECONDS) -> list[Message]:
        """What an agent has to do; waits until there is something or the time is over.

        Only the latest poll of an instance gets messages: an earlier one is of an agent that has gone without saying so.
        """
        end = time.monotonic() + wait_seconds
        with self._changed:
            self._seen(instance_id)
            poll = self._polls[instance_id] = self._polls.get(instance_id, 0) + 1
            self._changed.notify_all()
            while True:
                if self._polls[instance_id] != poll:
                    return []
                self._advance()
                found = [m for c in self._commands.values() if (m := self._message(c, instance_id))]
                left = end - time.monotonic()
                if found or left <= 0:
                    return found
                self._changed.wait(min(left, 1.0))

    def acknowledge(self, instance_id: str, message_id: str) -> None:
        """Raises UnknownMessageError also for a command that is over: the agent must not run it."""
        with self._changed:
            self._seen(instance_id)
            self._advance()
            if self._cancels(instance_id, message_id):
                return
            command = self._command(instance_id, message_id)
            if not command.acknowledge(instance_id, self._clock()):
                raise UnknownMessageError(message_id)

    def reply(self, instance_id: str, message_id: str, status: str, steps: Mapping[str, Mapping[str, Any]]) -> None:
        with self._changed:
            self._seen(instance_id)
            if self._cancels(instance_id, message_id):
                return
            self._command(instance_id, message_id).report(instance_id, status, steps, self._clock())
            self._advance()
            self._changed.notify_all()

    def _cancels(self, instance_id: str, message_id: str) -> bool:
        """Whether it is a message that cancels a command; if so, it is delivered. The command's own end says what became of it."""
        for command in self._commands.values():
            invocation = command.invocations.get(instance_id)
            if invocation and invocation.cancel_message == message_id:
                invocation.cancel_delivered = True
                return True
        return False

    def _advance(self) -> None:
        now = self._clock()
        for command in self._commands.values():
            command.advance(now)

    def _seen(self, instance_id: str) -> None:
        if instance_id in self._managed:
            self._managed[instance_id].last_ping = self._clock()

    def _command(self, instance_id: str, message_id: str) -> Command:
        command = self._commands.get(message_id.removeprefix("aws.ssm.").removesuffix(f".{instance_id}"))
        if command is None or instance_id not in command.invocations:
            raise UnknownMessageError(message_id)
        return command

    def _message(self, command: Command, instance_id: str) -> Message | None:
        invocation = command.invocations.get(instance_id)
        if invocation is None or not invocation.active or invocation.visible_at > self._clock():
            return None
        if invocation.cancel_message and not invocation.cancel_delivered:
            invocation.visible_at = self._clock() + REDELIVERY_SECONDS
            payload = json.dumps({"CancelMessageId": message_id(command, invocation)})
            return Message(invocation.cancel_message, CANCEL_TOPIC, payload, self._clock())
        if invocation.started_at is not None:
            return None
        invocation.visible_at = self._clock() + REDELIVERY_SECONDS
        payload = json.dumps(command_payload(command))
        return Message(message_id(command, invocation), SEND_TOPIC, payload, command.requested_at)


def message_id(command: Command, invocation: Invocation) -> str:
    return f"aws.ssm.{command.command_id}.{invocation.instance_id}"


def command_payload(command: Command) -> dict[str, Any]:
    """What an agent has to know to run the command."""
    return {
        "CommandId": command.command_id,
        "DocumentName": command.document_name,
        "DocumentContent": dict(command.document),
        "Parameters": dict(command.values),
        "OutputS3BucketName": command.request.get("OutputS3BucketName", ""),
        "OutputS3KeyPrefix": command.request.get("OutputS3KeyPrefix", ""),
    }
