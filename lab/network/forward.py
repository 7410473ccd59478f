"""A port on this computer's loopback that leads to an address inside the lab."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from pathlib import Path

from lab.errors import LabError
from lab.network import namespaces

BLOCK = 64 * 1024


class Forwarder(socketserver.ThreadingTCPServer):
    """Listens in the namespace of the caller, on 127.0.0.1 only, and connects in the lab's. `serve_forever` until `shutdown`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, namespace: Path) -> None:
        self.namespace = namespace
        self.target: tuple[str, int] | None = None
        """Address and port inside; until it is set, connections are closed at once."""
        try:
            super().__init__(("127.0.0.1", port), _Relay)
        except OSError as error:
            raise LabError(
                f"Cannot listen on 127.0.0.1:{port}: {error.strerror}",
                hint="Take another port: `lab open --port N`, or leave --port out for a free one.",
            ) from error

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Relay(socketserver.BaseRequestHandler):
    request: socket.socket
    server: Forwarder

    def handle(self) -> None:
        if self.server.target is None:
            return
        try:
            upstream = namespaces.connect(self.server.namespace, self.server.target, timeout=10)
        except OSError:
            return
        upstream.settimeout(None)
        with upstream:
            back = threading.Thread(target=_pump, args=(upstream, self.request), daemon=True)
            back.start()
            _pump(self.request, upstream)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copies until the source ends, then closes the sink for writing."""
    with contextlib.suppress(OSError):
        while block := source.recv(BLOCK):
            sink.sendall(block)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
