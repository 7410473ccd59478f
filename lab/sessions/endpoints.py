"""What a session leads to on a machine: a TCP port or a terminal. All of it runs in the event loop; only opening takes a thread."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

BUFFER = 64 * 1024
END_SECONDS = 2
CONTINUE_SECONDS = 0.5


class EndpointError(Exception):
    """There is nothing to talk to; the text is shown to the user."""


class Endpoint(Protocol):
    async def read(self, most: int) -> bytes:
        """What has come, at most so many bytes; nothing when the other side has ended."""

    async def write(self, data: bytes) -> None:
        """Returns once it is taken. What comes after the end is dropped."""

    def resize(self, columns: int, rows: int) -> None: ...

    def close(self) -> None: ...


Opener = Callable[[], Awaitable[Endpoint]]


class Streams:
    """A reader and a writer of asyncio as an endpoint."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, most: int) -> bytes:
        try:
            return await self._reader.read(most)
        except OSError:  # a reset connection, or a terminal whose last process has gone (EIO)
            return b""

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    def resize(self, columns: int, rows: int) -> None:
        """A port has no size."""

    def close(self) -> None:
        self._writer.close()


def port(connect: Callable[[], socket.socket]) -> Opener:
    """`connect` blocks; it raises OSError when nothing listens."""

    async def opened() -> Endpoint:
        try:
            connection = await asyncio.to_thread(connect)
        except OSError as error:
            # port_basic.go, InitializeSession
            raise EndpointError(f"Unable to connect to specified port: {error.strerror or error}") from error
        connection.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=connection, limit=BUFFER)
        return Streams(reader, writer)

    return opened


@dataclass(frozen=True)
class Started:
    """A process on a terminal."""

    terminal: int
    """The terminal's own end (its master), a file descriptor."""
    process: subprocess.Popen[bytes]


class Terminal(Streams):
    def __init__(self, started: Started, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._started = started
        self._continuing = asyncio.get_running_loop().create_task(self._continue())

    async def _continue(self) -> None:
        """systemd stops all processes of a machine for a moment when it goes down. nsenter, outside, follows its child and stops too, but
        nobody would wake it: it would never reap its child, and the machine's first process would wait for that."""
        while True:
            await asyncio.sleep(CONTINUE_SECONDS)
            self._started.process.send_signal(signal.SIGCONT)

    def resize(self, columns: int, rows: int) -> None:
        with contextlib.suppress(OSError):
            size = struct.pack("HHHH", min(rows, 65535), min(columns, 65535), 0, 0)
            fcntl.ioctl(self._started.terminal, termios.TIOCSWINSZ, size)

    def close(self) -> None:
        """Its processes get SIGHUP when the last descriptor of the terminal's own end is closed."""
        super().close()
        self._continuing.cancel()
        with contextlib.suppress(OSError):
            os.close(self._started.terminal)
        asyncio.get_running_loop().run_in_executor(None, _reap, self._started.process)


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def terminal(start: Callable[[], Started], first_input: bytes = b"") -> Opener:
    """`start` blocks; it raises OSError when the shell can't be started. `first_input` is typed in before anything else."""

    async def opened() -> Endpoint:
        try:
            started = await asyncio.to_thread(start)
        except OSError as error:
            # shell_unix.go, StartCommandExecutor
            raise EndpointError(f"Failed to start pty: {error.strerror or error}") from error
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=BUFFER)
        reading = asyncio.StreamReaderProtocol(reader)
        output, _ = await loop.connect_read_pipe(lambda: reading, os.fdopen(os.dup(started.terminal), "rb", 0))
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(os.dup(started.terminal), "wb", 0)
        )
        made = _OnTerminal(started, reader, asyncio.StreamWriter(transport, protocol, reader, loop), output)
        if first_input:
            await made.write(first_input)
        return made

    return opened


class _OnTerminal(Terminal):
    def __init__(
        self,
        started: Started,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        output: asyncio.BaseTransport,
    ) -> None:
        super().__init__(started, reader, writer)
        self._output = output

    def close(self) -> None:
        self._output.close()
        super().close()
