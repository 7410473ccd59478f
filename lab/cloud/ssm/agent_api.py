"""What an agent talks to: its heartbeat (ssm:UpdateInstanceInformation) and its messages (ec2messages), as a WSGI application.

These calls are not in the public API models. Their shapes are those that Amazon's agent (open source) sends and expects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from lab.cloud.auth.errors import error_response
from lab.cloud.auth.keys import Holder
from lab.cloud.auth.request import Call
from lab.cloud.ssm.records import LabSsmBackend
from lab.cloud.ssm.run_command import Message, RunCommand, UnknownMessageError

LARGEST_BODY_BYTES = 1024 * 1024


class CallError(Exception):
    """An error of the API: code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class AgentApi:
    """`backend_of` gives the records of a region."""

    def __init__(self, backend_of: Callable[[str], LabSsmBackend]) -> None:
        self._backend_of = backend_of
        self._actions: Mapping[str, Callable[[RunCommand, str, Mapping[str, Any]], dict[str, Any]]] = {
            "UpdateInstanceInformation": self._update,
            "GetMessages": self._get,
            "AcknowledgeMessage": self._acknowledge,
            "SendReply": self._reply,
            "FailMessage": self._fail,
            "DeleteMessage": self._delete,
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        call: Call = environ["lab.call"]
        try:
            request = _body(environ)
            instance_id = self._caller(call.region, environ.get("lab.holder"), request)
            answer = self._actions[call.action](self._backend_of(call.region).run_command, instance_id, request)
        except CallError as error:
            return error_response(start_response, "json", HTTPStatus.BAD_REQUEST, error.code, str(error))
        except UnknownMessageError as error:
            message = f"There is no message {error.args[0]} to be worked on."
            return error_response(start_response, "json", HTTPStatus.BAD_REQUEST, "MessageNotFoundException", message)
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    def _caller(self, region: str, holder: Holder | None, request: Mapping[str, Any]) -> str:
        """An instance speaks for itself, with the credentials of its role."""
        instance_id = str(request.get("Destination") or request.get("InstanceId") or _instance_of(request))
        if holder is None or holder.session != instance_id:
            who = holder.arn if holder else "the lab's own access key"
            raise CallError("AccessDeniedException", f"{who} can't act for instance {instance_id!r}.")
        if instance_id not in self._backend_of(region).instances():
            raise CallError("InvalidInstanceId", f"There is no running instance {instance_id} in {region}.")
        return instance_id

    def _update(self, run_command: RunCommand, instance_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        run_command.register(instance_id, request)
        return {}

    def _get(self, run_command: RunCommand, instance_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        found = run_command.messages(instance_id)
        return {
            "Destination": instance_id,
            "MessagesRequestId": request.get("MessagesRequestId"),
            "Messages": [serialized(message, instance_id) for message in found],
        }

    def _acknowledge(self, run_command: RunCommand, instance_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        run_command.acknowledge(instance_id, str(request.get("MessageId")))
        return {}

    def _reply(self, run_command: RunCommand, instance_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            payload = json.loads(request["Payload"])
            status, steps = payload["documentStatus"], payload["runtimeStatus"]
            run_command.reply(instance_id, str(request["MessageId"]), status, steps)
        except UnknownMessageError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise CallError("ValidationException", f"The reply can't be read: {error!r}") from error
        return {}

    def _fail(self, run_command: RunCommand, instance_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The agent could not make anything of the message."""
        run_command.reply(instance_id, str(request["MessageId"]), "Failed", {})
        return {}

    def _delete(self, run_command: RunCommand, instance_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """A message goes by itself when its command ends."""
        return {}


def _body(environ: Mapping[str, Any]) -> dict[str, Any]:
    try:
        size = min(int(environ.get("CONTENT_LENGTH") or 0), LARGEST_BODY_BYTES)
        data = json.loads(environ["wsgi.input"].read(size) or b"{}")
    except ValueError as error:
        raise CallError("SerializationException", f"The body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise CallError("SerializationException", "The body is not a JSON object.")
    return data


def _instance_of(request: Mapping[str, Any]) -> str:
    """Message ids end in the instance's id: aws.ssm.<command>.<instance>."""
    return str(request.get("MessageId", "")).rpartition(".")[2]


def serialized(message: Message, instance_id: str) -> dict[str, Any]:
    """A Message of GetMessages."""
    created = datetime.fromtimestamp(message.created_at, UTC)
    return {
        "MessageId": message.message_id,
        "Destination": instance_id,
        "Topic": message.topic,
        "CreatedDate": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "Payload": message.payload,
        "PayloadDigest": hashlib.sha256(message.payload.encode()).hexdigest(),
    }
