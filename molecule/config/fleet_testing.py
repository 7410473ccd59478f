"""What the scenarios' tests share: requests to a machine from outside, over the lab's own network."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


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
