"""A data channel server on this machine's loopback, and endpoints of this machine's own. No lab."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lab.machines.terminal import open_pair
from lab.run import spawn_on
from lab.sessions import endpoints
from lab.sessions.channel import Events, Plan
from lab.sessions.endpoints import Started
from lab.sessions.server import ChannelServer
from tests.support.ports import free_port

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


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    port = free_port()
    made: list[Sessions] = []
    server = ChannelServer("127.0.0.1", port, lambda _, token, __: token == TOKEN or token in made[0].tokens)
    made.append(Sessions(server, port))
    yield made[0]
    server.close()


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[socket.socket], None]], endpoints.Opener]]:
    """Makes an opener of a function that is given each connection to a port."""
    servers: list[socketserver.ThreadingTCPServer] = []

    def made(handle: Callable[[socket.socket], None]) -> endpoints.Opener:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                handle(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 512

        server = Server(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return endpoints.port(lambda: socket.create_connection(server.server_address[:2], timeout=5))

    yield made
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def shell() -> Callable[..., endpoints.Opener]:
    def made(first_input: bytes = b"") -> endpoints.Opener:
        def start() -> Started:
            own, end = open_pair(os.getpid())
            process: subprocess.Popen[bytes] = spawn_on(end, ["env", "-i", "PATH=/usr/bin:/bin", "PS1=$ ", "sh"])
            os.close(end)
            return Started(own, process)

        return endpoints.terminal(start, first_input)

    return made
