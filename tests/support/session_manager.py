"""Systems Manager, EC2 Instance Connect and EC2 as far as a connection asks them, and a program in session-manager-plugin's place."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

INSTANCE = "i-0123456789abcdef0"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAeFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFa"

PLUGIN = r"""#!/bin/bash
[ "$1" != --version ] || { echo "__VERSION__"; exit; }
printf '%s\n' "$@" >"__FOLDER__/plugin.arguments"
printf '%s' "$AWS_SSM_START_SESSION_RESPONSE" >"__FOLDER__/plugin.response"
printf '\nStarting session with SessionId: %s\n' fake
__THEN__
"""


class Refused(Exception):  # noqa: N818 - a service's answer
    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message or code, status


class FakeAws:
    """The answers. ``refuse``: action → what to refuse it with; ``per_second``: how many sessions are started in a second, 0 for any."""

    def __init__(self) -> None:
        self.refuse: dict[str, Refused] = {}
        self.parameters = {f"/fleet/host-keys/{INSTANCE}": HOST_KEY}
        self.state = "running"
        self.per_second = 0
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.throttled = 0
        self._lock = threading.Lock()
        self._seconds: Counter[int] = Counter()
        self.url = ""

    def named(self, action: str) -> list[dict[str, Any]]:
        return [given for name, given in self.calls if name == action]

    def answer(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls.append((action, given))
            if action in self.refuse:
                raise self.refuse[action]
            if action == "StartSession" and self.per_second:
                now = int(time.monotonic())
                if self._seconds[now] >= self.per_second:
                    self.throttled += 1
                    raise Refused("ThrottlingException", "Rate exceeded")
                self._seconds[now] += 1
            if action == "GetParameter":
                if given["Name"] not in self.parameters:
                    raise Refused("ParameterNotFound")
                return {"Parameter": {"Name": given["Name"], "Value": self.parameters[given["Name"]]}}
            if action == "StartSession":
                number = len(self.named(action))
                return {"SessionId": f"alice-{number:04}", "TokenValue": "secret-token", "StreamUrl": "wss://example/"}
            return {"Success": True, "RequestId": "1"}


class Handler(BaseHTTPRequestHandler):
    aws: FakeAws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        if not target:
            self._instances(parse_qs(body.decode()))
            return
        try:
            answer, status = self.aws.answer(target.rpartition(".")[2], json.loads(body)), 200
        except Refused as refused:
            answer, status = {"__type": refused.code, "message": refused.message}, refused.status
        self._send(json.dumps(answer).encode(), status, "application/x-amz-json-1.1")

    def _instances(self, given: dict[str, list[str]]) -> None:
        instance = given["InstanceId.1"][0]
        if self.aws.state == "unknown":
            text = (
                "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code>"
                f"<Message>{instance}</Message></Error></Errors></Response>"
            )
            self._send(text.encode(), 400, "text/xml")
            return
        text = (
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
            f"<instanceId>{instance}</instanceId><instanceState><name>{self.aws.state}</name></instanceState>"
            "</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
        )
        self._send(text.encode(), 200, "text/xml")

    def _send(self, body: bytes, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def fake_aws() -> Iterator[FakeAws]:
    aws = FakeAws()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"aws": aws}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    aws.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()


def environment(aws: FakeAws, folder: Path) -> dict[str, str]:
    """What AWS's libraries read, and nothing of a user's own."""
    return {
        "AWS_ENDPOINT_URL": aws.url, "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE", "AWS_SECRET_ACCESS_KEY": "fake" * 10,
        "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder),
    }  # fmt: skip


def write_plugin(folder: Path, then: str = "true", version: str = "1.3.0.0") -> Path:
    """A plugin that notes what it was called with, says what the real one says first, and does ``then``."""
    file = folder / "session-manager-plugin"
    file.write_text(PLUGIN.replace("__VERSION__", version).replace("__FOLDER__", str(folder)).replace("__THEN__", then))
    file.chmod(0o755)
    return file
