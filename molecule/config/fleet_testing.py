"""What the scenarios' tests share: requests to a machine and logins from outside, over the lab's own network."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import boto3


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    text: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def address(host: Any) -> str:
    """The address of a testinfra host."""
    return str(host.backend.get_variables()["ansible_host"])


def request(
    host: Any, path: str, *, method: str = "GET", port: int = 80, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a connection of its own, without proxies or redirects. Raises OSError if nobody answers."""
    connection = http.client.HTTPConnection(address(host), port, timeout=15)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read().decode("utf-8", "replace"))
    finally:
        connection.close()


def eventually(what: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether `what` becomes true within the time. A refused connection counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if what():
                return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


class Load:
    """Requests for /echo from `workers` clients at once, each on a kept connection, as long as the ``with`` lasts."""

    def __init__(self, host: Any, workers: int) -> None:
        self.address = address(host)
        self.answered = 0
        self.failed: list[str] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(workers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        connection, used = self._connect(), False
        while not self._end.is_set():
            try:
                connection.request("GET", "/echo")
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                connection, was_used, used = self._connect(), used, False
                # A kept connection may be closed at any time; only a new one must answer (RFC 9112, 9.3.1).
                if not was_used:
                    self.failed.append(repr(error))
                continue
            used = True
            if answer.status == 200:
                self.answered += 1
            else:
                self.failed.append(f"status {answer.status}")

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, 80, timeout=15)


def instance_id(host: Any) -> str:
    """The EC2 instance that a testinfra host is."""
    ec2 = boto3.client("ec2", region_name=os.environ["AWS_REGION"])
    desired = {"private-ip-address": [address(host)], "instance-state-name": ["running"]}
    found = ec2.describe_instances(Filters=[{"Name": name, "Values": values} for name, values in desired.items()])
    return str(found["Reservations"][0]["Instances"][0]["InstanceId"])


def login_by_pushed_key(
    host: Any, folder: Path, user: str = "ec2-user", command: str = "true"
) -> subprocess.CompletedProcess[str]:
    """A connection of its own by a new key, in `folder`, that EC2 Instance Connect has pushed: as SSH through Session Manager."""
    key = folder / "pushed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True, timeout=30)
    client = boto3.client("ec2-instance-connect", region_name=os.environ["AWS_REGION"])
    public = Path(f"{key}.pub").read_text().strip()
    client.send_ssh_public_key(InstanceId=instance_id(host), InstanceOSUser=user, SSHPublicKey=public)
    options = [
        "ControlPath=none",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=no",
        f"UserKnownHostsFile={os.devnull}",
    ]
    words = [word for option in options for word in ("-o", option)]
    argv = ["ssh", "-F", os.devnull, *words, "-i", str(key), f"{user}@{address(host)}", command]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
