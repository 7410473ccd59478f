# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a MySQL server on this host, such as an admin port, without a client program: text queries, mysql_native_password.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import socket
import struct

from ansible.module_utils.common.text.converters import to_bytes, to_text

LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH = 1, 512, 32768, 1 << 19
PLUGIN = b"mysql_native_password"
UTF8 = 33
LONGEST_PACKET = 1 << 24
COM_QUIT, COM_QUERY = b"\x01", b"\x03"


class MySQLError(Exception):
    """The server refused, or can't be talked to. The message is the server's own."""


def scramble(password, nonce):
    """mysql_native_password: SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))). SHA1 is the protocol's choice."""
    if not password:
        return b""
    once = hashlib.sha1(to_bytes(password)).digest()  # noqa: S324
    mask = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()  # noqa: S324
    return bytes(bytearray(left ^ right for left, right in zip(bytearray(once), bytearray(mask))))


def length(data, at):
    """A length-encoded integer at a place: (value, place after it). None stands for NULL."""
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    if first == 0xFB:
        return None, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return sum(byte << (8 * place) for place, byte in enumerate(data[at + 1 : at + 1 + size])), at + 1 + size


def row_of(data):
    """The values of a text row; None for NULL."""
    values, at = [], 0
    while at < len(data):
        size, at = length(data, at)
        values.append(None if size is None else to_text(bytes(data[at : at + size])))
        at += size or 0
    return values


def error_of(data):
    start = 9 if data[3:4] == b"#" else 3
    return MySQLError(to_text(bytes(data[start:]), errors="replace"))


class Client:
    """One connection. `query` returns rows as lists of texts. Every failure is a MySQLError."""

    def __init__(self, port, user, password, host="127.0.0.1", seconds=5):
        self.sequence = 0
        try:
            self.socket = socket.create_connection((host, port), seconds)
        except socket.error as error:
            raise MySQLError("no answer at %s:%s (%s)" % (host, port, error))
        try:
            self._log_in(user, password)
        except MySQLError:
            self.socket.close()
            raise

    def query(self, statement):
        self.sequence = 0
        self._write(COM_QUERY + to_bytes(statement))
        first = self._read()
        if first[0] == 0x00:
            return []
        for _column in range(length(first, 0)[0]):
            self._read()
        self._read()
        rows = []  # type: list[list[str | None]]
        while True:
            packet = self._read()
            if packet[0] == 0xFE and len(packet) < 9:
                return rows
            rows.append(row_of(packet))

    def close(self):
        try:
            self.sequence = 0
            self._write(COM_QUIT)
        except MySQLError:
            pass
        self.socket.close()

    def _log_in(self, user, password):
        greeting = self._read()
        rest = greeting[greeting.index(b"\0") + 1 :]
        nonce = bytes(rest[4:12] + rest[31:43])
        capabilities = LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH
        answer = scramble(password, nonce)
        head = struct.pack("<IIB", capabilities, LONGEST_PACKET, UTF8) + b"\0" * 23
        self._write(head + to_bytes(user) + b"\0" + struct.pack("B", len(answer)) + answer + PLUGIN + b"\0")
        reply = self._read()
        if reply[0] == 0xFE and len(reply) > 1:
            plugin, other = bytes(reply[1:]).split(b"\0", 1)
            if plugin != PLUGIN:
                raise MySQLError("the server requires %s; only mysql_native_password is known here" % to_text(plugin))
            self._write(scramble(password, other[:20]))
            self._read()

    def _read(self):
        """A packet as a bytearray. Raises MySQLError for an error packet, too."""
        head = self._exactly(4)
        self.sequence = (head[3] + 1) & 255
        packet = self._exactly(head[0] | head[1] << 8 | head[2] << 16)
        if packet[0] == 0xFF:
            raise error_of(packet)
        return packet

    def _write(self, payload):
        size = len(payload)
        head = struct.pack("BBBB", size & 255, size >> 8 & 255, size >> 16, self.sequence)
        try:
            self.socket.sendall(head + payload)
        except socket.error as error:
            raise MySQLError("the connection broke (%s)" % error)
        self.sequence = (self.sequence + 1) & 255

    def _exactly(self, size):
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self.socket.recv(size - len(parts))
            except socket.error as error:
                raise MySQLError("the connection broke (%s)" % error)
            if not part:
                raise MySQLError("the server closed the connection")
            parts += part
        return parts
