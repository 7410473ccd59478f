"""MySQL's client/server protocol, as far as text queries need it: packets, handshake, mysql_native_password, answers."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, SSL, TRANSACTIONS, SECURE, PLUGIN_AUTH = (
    1,
    8,
    512,
    2048,
    8192,
    32768,
    1 << 19,
)
CAPABILITIES = LONG_PASSWORD | CONNECT_WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE | PLUGIN_AUTH
PLUGIN = b"mysql_native_password"
QUIT, INIT_DB, QUERY, PING = 1, 2, 3, 14
UTF8 = 33


class MySQLError(Exception):
    """An error packet: number, message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Wire:
    """One connection; a packet is three bytes of length, a sequence number, and the payload."""

    sock: socket.socket
    sequence: int = 0

    def read(self) -> bytes:
        head = self._exactly(4)
        self.sequence = (head[3] + 1) & 255
        return self._exactly(int.from_bytes(head[:3], "little"))

    def write(self, payload: bytes) -> None:
        self.sock.sendall(len(payload).to_bytes(3, "little") + bytes([self.sequence]) + payload)
        self.sequence = (self.sequence + 1) & 255

    def _exactly(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = self.sock.recv(size - len(parts))
            if not part:
                raise ConnectionResetError("the other side has closed the connection")
            parts += part
        return parts


def scramble(password: str, nonce: bytes) -> bytes:
    """SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    twice = hashlib.sha1(once, usedforsecurity=False).digest()
    mask = hashlib.sha1(nonce + twice, usedforsecurity=False).digest()
    return bytes(left ^ right for left, right in zip(once, mask, strict=True))


def text(value: str) -> bytes:
    """A length-encoded string."""
    data = value.encode()
    size = bytes([len(data)]) if len(data) < 251 else b"\xfc" + struct.pack("<H", len(data))
    return size + data


def greet(wire: Wire, version: str, tls: bool = False) -> bytes:
    """Sends a server's greeting; returns its nonce."""
    nonce = bytes(byte % 127 + 1 for byte in os.urandom(20))
    able = CAPABILITIES | (SSL if tls else 0)
    wire.write(
        b"\x0a" + version.encode() + b"\0" + struct.pack("<I", 1) + nonce[:8] + b"\0"
        + struct.pack("<HBHHB", able & 0xFFFF, UTF8, 2, able >> 16, 21) + bytes(10) + nonce[8:] + b"\0" + PLUGIN + b"\0"
    )  # fmt: skip
    return nonce


def read_login(payload: bytes) -> tuple[str, bytes]:
    """(user, answer to the nonce) of a client's login."""
    user, rest = payload[32:].split(b"\0", 1)
    return user.decode(), rest[1 : 1 + rest[0]]


def log_in(sock: socket.socket, user: str, password: str, context: ssl.SSLContext | None = None) -> Wire:
    """Logs in to a server, inside TLS when there is a context. Raises MySQLError, OSError."""
    wire = Wire(sock)
    greeting = wire.read()
    if greeting[0] == 0xFF:
        raise read_error(greeting)
    rest = greeting.split(b"\0", 1)[1]
    able = struct.unpack("<H", rest[13:15])[0]
    nonce = rest[4:12] + rest[31:43]
    capabilities = (CAPABILITIES & ~CONNECT_WITH_DB) | (SSL if context else 0)
    head = struct.pack("<IIB", capabilities, 1 << 24, UTF8) + bytes(23)
    if context:
        if not able & SSL:
            raise MySQLError(2026, "SSL connection error: the server offers no TLS")
        wire.write(head)
        wire.sock = context.wrap_socket(sock)
    answer = scramble(password, nonce)
    wire.write(head + user.encode() + b"\0" + bytes([len(answer)]) + answer + PLUGIN + b"\0")
    reply = wire.read()
    if reply[0] == 0xFF:
        raise read_error(reply)
    return wire


def read_error(payload: bytes) -> MySQLError:
    message = payload[9:] if payload[3:4] == b"#" else payload[3:]
    return MySQLError(struct.unpack("<H", payload[1:3])[0], message.decode("utf-8", "replace"))


def write_ok(wire: Wire) -> None:
    wire.write(b"\0\0\0\x02\0\0\0")


def write_error(wire: Wire, code: int, message: str, state: str = "HY000") -> None:
    wire.write(b"\xff" + struct.pack("<H", code) + b"#" + state.encode() + message.encode())


def write_rows(wire: Wire, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    end = b"\xfe\0\0\x02\0"
    wire.write(bytes([len(columns)]))
    for name in columns:
        head = b"".join(text(part) for part in ("def", "", "", "", name, ""))
        wire.write(head + b"\x0c" + struct.pack("<HIBHB", UTF8, 1024, 253, 0, 0) + b"\0\0")
    wire.write(end)
    for row in rows:
        wire.write(b"".join(b"\xfb" if value is None else text(str(value)) for value in row))
    wire.write(end)


def relay_answer(server: Wire, client: Wire) -> None:
    """Passes a server's whole answer to a query on to the client."""
    first = server.read()
    client.write(first)
    if first[0] in (0x00, 0xFF):
        return
    for _ in range(2):  # columns, then rows: each ends with an EOF packet
        while True:
            packet = server.read()
            client.write(packet)
            if packet[0] == 0xFF:
                return
            if packet[0] == 0xFE and len(packet) < 9:
                break
