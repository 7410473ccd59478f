"""What listens for applications: StatsD and X-Ray datagrams, lines in the embedded metric format, and the ports that only answer.

Each receiver runs in a thread of its own and puts what it gets into an inbox that the agent's loop empties.
"""

from __future__ import annotations

import json
import queue
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

DATAGRAM_BYTES = 65_535
NOT_SHIPPED = (
    b"HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This stand-in ships nothing from here.\n"
)


@dataclass
class Inbox:
    """What has come in and not gone out: StatsD lines, EMF lines, X-Ray segment documents, and notes for the agent's log."""

    statsd: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    emf: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    segments: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    notes: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)


def drain(waiting: queue.SimpleQueue[str], most: int = 1000) -> list[str]:
    taken: list[str] = []
    while len(taken) < most and not waiting.empty():
        taken.append(waiting.get_nowait())
    return taken


class _Udp(socketserver.ThreadingUDPServer):
    max_packet_size = DATAGRAM_BYTES
    daemon_threads = True


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def start(document: dict[str, Any], inbox: Inbox) -> list[str]:
    """Opens every port that the configuration asks for; returns their addresses. Raises OSError where one is taken."""
    opened = []
    for protocol, address, take in configured(document, inbox):
        host, _, port = address.rpartition(":")
        if protocol == "udp":
            server: socketserver.BaseServer = _Udp((host, int(port)), _datagrams(take))
        else:
            server = _Tcp((host, int(port)), _lines(take) if take else _refusal(address, inbox))
        threading.Thread(target=server.serve_forever, daemon=True, name=address).start()
        opened.append(f"{protocol} {address}")
    return opened


def configured(document: dict[str, Any], inbox: Inbox) -> Iterator[tuple[str, str, Callable[[str], None] | None]]:
    """Protocol, address, and who takes what comes; None where this stand-in only answers that it ships nothing."""
    statsd = document.get("metrics", {}).get("metrics_collected", {}).get("statsd")
    if statsd is not None:
        yield "udp", _with_host(statsd.get("service_address", ":8125")), inbox.statsd.put
    emf = document.get("logs", {}).get("metrics_collected", {}).get("emf")
    if emf is not None:
        for protocol in ("tcp", "udp"):
            kind, _, address = emf.get("service_address", f"{protocol}://0.0.0.0:25888").partition(":")
            if kind == protocol:
                yield protocol, _with_host(address.removeprefix("//")), inbox.emf.put
    collected = document.get("traces", {}).get("traces_collected", {})
    if "xray" in collected:
        xray = collected["xray"]
        yield "udp", xray.get("bind_address", "127.0.0.1:2000"), lambda text: _segment(text, inbox)
        yield "tcp", xray.get("tcp_proxy", {}).get("bind_address", "0.0.0.0:2000"), None
    otlps = collected.get("otlp", [])
    for otlp in otlps if isinstance(otlps, list) else [otlps]:
        yield "tcp", otlp.get("grpc_endpoint", "127.0.0.1:4317"), None
        yield "tcp", otlp.get("http_endpoint", "127.0.0.1:4318"), None


def _with_host(address: str) -> str:
    # As the real one: without a host it listens on all of them.
    return f"0.0.0.0{address}" if address.startswith(":") else address  # noqa: S104


def _segment(text: str, inbox: Inbox) -> None:
    """A datagram is a header line, `{"format": "json", "version": 1}`, and a segment document."""
    header, _, body = text.partition("\n")
    try:
        known = json.loads(header) == {"format": "json", "version": 1}
    except ValueError:
        known = False
    if known and body.strip():
        inbox.segments.put(body.strip())
    else:
        inbox.notes.put("xray: a datagram without the header of version 1 was dropped")


def _datagrams(take: Callable[[str], None] | None) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if take:
                take(self.request[0].decode("utf-8", "replace"))

    return Handler


def _lines(take: Callable[[str], None]) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                if line.strip():
                    take(line.decode("utf-8", "replace").strip())

    return Handler


def _refusal(address: str, inbox: Inbox) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        timeout = 5

        def handle(self) -> None:
            inbox.notes.put(f"what comes to tcp {address} is not shipped by this stand-in")
            self.rfile.readline(DATAGRAM_BYTES)
            self.wfile.write(NOT_SHIPPED)

    return Handler
