"""Ports for servers of tests: below those that the system gives to outgoing connections, and none twice in a process."""

from __future__ import annotations

import itertools
import os
import socket

FIRST, COUNT = 20_000, 12_000
"""Linux gives outgoing connections 32768 and above (ip_local_port_range)."""
_candidates = itertools.count(os.getpid() * 37)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of the loopback address that nobody listens on."""
    for number in itertools.islice(_candidates, COUNT):
        port = FIRST + number % COUNT
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port from {FIRST} on")
