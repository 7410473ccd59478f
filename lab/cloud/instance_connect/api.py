"""SendSSHPublicKey, as a WSGI application: moto answers it with success and does nothing.

Errors: EC2 Instance Connect API Reference, "SendSSHPublicKey".
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from lab.cloud.auth.errors import error_response
from lab.cloud.auth.keys import Holder
from lab.cloud.auth.permissions import PERSON_ARN, allows
from lab.cloud.auth.request import Call
from lab.cloud.instance_connect.pushed_keys import PushedKeys
from lab.cloud.instance_connect.request import InvalidArgsError, PushRequest, read_request
from lab.settings import ACCOUNT_ID

LARGEST_BODY_BYTES = 64 * 1024
RATE, BURST = 20.0, 40.0
"""Requests a second, and at once, per region. AWS documents ThrottlingException and no rate: this one is the lab's own."""
ACTION = "ec2-instance-connect:SendSSHPublicKey"

Instances = Callable[[str], Mapping[str, Any]]
"""Region → its instances by id, each with `state` and `placement.zone`."""


class ApiError(Exception):
    """An error of the API: code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Throttle:
    """A bucket of tokens for each region."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._change = threading.Lock()

    def take(self, region: str) -> bool:
        with self._change:
            now = self._clock()
            left, since = self._left.get(region, (BURST, now))
            left = min(BURST, left + (now - since) * RATE)
            self._left[region] = (left - 1, now) if left >= 1 else (left, now)
            return left >= 1


class InstanceConnectApi:
    """The gate's route of the service."""

    def __init__(self, keys: PushedKeys, instances: Instances, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._instances = instances
        self._throttle = Throttle(clock)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        call: Call = environ["lab.call"]
        try:
            answer = self._send(call.region, environ.get("lab.holder"), environ)
        except ApiError as error:
            return error_response(start_response, "json", HTTPStatus.BAD_REQUEST, error.code, str(error))
        except InvalidArgsError as error:
            return error_response(start_response, "json", HTTPStatus.BAD_REQUEST, "InvalidArgsException", f"{error}")
        body = json.dumps(answer).encode()
        headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("Content-Length", str(len(body))),
            ("x-amzn-RequestId", answer["RequestId"]),
        ]
        start_response("200 OK", headers)
        return [body]

    def _send(self, region: str, holder: Holder | None, environ: Mapping[str, Any]) -> dict[str, Any]:
        if not self._throttle.take(region):
            raise ApiError("ThrottlingException", "Too many requests. Wait a while and try again.")
        request = read_request(_body(environ))
        arn = f"arn:aws:ec2:{region}:{ACCOUNT_ID}:instance/{request.instance_id}"
        caller = holder.arn if holder else PERSON_ARN
        if not allows(holder, ACTION, arn):
            message = f"User: {caller} is not authorized to perform: {ACTION} on resource: {arn}"
            raise ApiError("AccessDeniedException", message)
        self._check_instance(region, request)
        request_id = self._keys.push(region, request.instance_id, request.user, request.key, caller)
        return {"RequestId": request_id, "Success": True}

    def _check_instance(self, region: str, request: PushRequest) -> None:
        instance = self._instances(region).get(request.instance_id)
        # What AWS answers to a zone that is not the instance's is not documented.
        if instance is None or request.zone not in (None, instance.placement.zone):
            where = request.zone or region
            raise ApiError("EC2InstanceNotFoundException", f"There is no instance {request.instance_id} in {where}.")
        if instance.state != "running":
            message = (
                f"Unable to connect because the instance is not in a valid state: {request.instance_id} is {instance.state}. "
                "Start it and try again."
            )
            raise ApiError("EC2InstanceStateInvalidException", message)


def _body(environ: Mapping[str, Any]) -> dict[str, Any]:
    try:
        size = min(int(environ.get("CONTENT_LENGTH") or 0), LARGEST_BODY_BYTES)
        data = json.loads(environ["wsgi.input"].read(size) or b"{}")
    except ValueError as error:
        raise ApiError("SerializationException", f"The body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ApiError("SerializationException", "The body is not a JSON object.")
    return data
