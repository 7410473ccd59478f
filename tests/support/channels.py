"""A data channel server on this machine's loopback, what it leads to, and a client that does something with it. No lab."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lab.sessions import endpoints
from lab.sessions.channel import Events, Plan
from lab.sessions.server import ChannelServer
from tests.support.session_client import SessionClient

TOKEN = "right"


@dataclass
class Sessions:
    """The server, and what it has told of its sessions."""

    server: ChannelServer
    port: int
    told: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    """Valid ones. A test that leaves this empty has TOKEN for everything."""

    def url(self, session_id: str = "lab-1") -> str:
        return f"ws://127.0.0.1:{self.port}/v1/data-channel/{session_id}?role=publish_subscribe"

    def begin(self, opener: endpoints.Opener, **changes: Any) -> None:
        events = Events(
            connected=lambda: self.told.append("Connected"),
            disconnected=lambda: self.told.append("Disconnected"),
            ended=lambda status, reason: self.told.append(f"{status}: {reason}"),
        )
        plan = Plan(
            session_id="lab-1", target="i-1", session_type="Port", properties={"portNumber": "22"}, agent_version="3.3.987.0",
            open=opener, alive=lambda: True, events=events, idle_seconds=60,
        )  # fmt: skip
        self.server.begin(replace(plan, **changes))

    @property
    def ended(self) -> list[str]:
        return [told for told in self.told if ":" in told]

    def wait_ended(self, seconds: float = 5) -> str:
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.ended) == 1, self.told
        return self.ended[0]


Serving = Callable[[Callable[[socket.socket], None]], endpoints.Opener]
MANY = os.urandom(4 * 1024 * 1024)


def echo(connection: socket.socket) -> None:
    while block := connection.recv(65536):
        connection.sendall(block)


def pour(connection: socket.socket) -> None:
    connection.sendall(MANY)


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def play(url: str, act: Callable[[SessionClient], Awaitable[Any]], token: str = TOKEN, **options: Any) -> SessionClient:
    """Connects a client, does something with it, and leaves."""
    client = SessionClient(url, **options)

    async def run() -> None:
        await client.open(token)
        try:
            await act(client)
        finally:
            await client.close()

    asyncio.run(run())
    return client
