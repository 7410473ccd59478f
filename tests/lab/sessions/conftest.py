"""A data channel server on this machine's loopback, and endpoints of this machine's own. No lab."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from lab.machines.terminal import open_pair
from lab.run import spawn_on
from lab.sessions import endpoints
from lab.sessions.endpoints import Started
from lab.sessions.server import ChannelServer
from tests.support.channels import TOKEN, Sessions
from tests.support.ports import free_port


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
