"""Moves a thread or a socket into the lab's namespaces (Python 3.11 has no os.setns)."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter_network(namespace: Path) -> None:
    """Moves the calling thread (and the threads and processes that it starts later) into a network namespace."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, CLONE_NEWNET), f"entering {namespace}")
    finally:
        os.close(fd)


def own_mounts() -> None:
    """Gives the calling process mounts of its own: it sees what changes outside, nothing outside sees what it mounts."""
    _check(_libc.unshare(CLONE_NEWNS), "unsharing mounts")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None), "making / a slave mount")


def bind(source: Path, target: Path) -> None:
    _check(_libc.mount(bytes(source), bytes(target), None, MS_BIND, None), f"binding {source} to {target}")


def connect(namespace: Path, address: tuple[str, int], timeout: float) -> socket.socket:
    """A TCP connection made inside the namespace, usable from anywhere. Raises OSError like socket.create_connection.

    A socket belongs to the namespace it was made in and setns is per thread, so a thread of its own makes it.
    """
    return call(namespace, lambda: socket.create_connection(address, timeout=timeout))


def call(namespace: Path, function: Callable[[], T]) -> T:
    """Calls a function in a thread that has entered the network namespace; raises the OSError that it raises."""
    result: list[T | OSError] = []

    def work() -> None:
        try:
            enter_network(namespace)
            result.append(function())
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=work, name="namespace-call", daemon=True)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]
