"""Connections to one server: never more than its max_connections, kept for the next query, waited for when all are in use."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from proxysql_standin import protocol
from proxysql_standin.protocol import MySQLError, Wire


@dataclass(frozen=True)
class Server:
    """A row of mysql_servers."""

    hostgroup: int
    address: str
    port: int
    max_connections: int
    use_ssl: bool


@dataclass
class Limits:
    """The variables that pools follow."""

    wait_seconds: float = 10
    free_percent: int = 10
    max_age_seconds: float = 0
    ca_file: str = ""


@dataclass
class Connection:
    wire: Wire
    user: str
    made: float = field(default_factory=time.monotonic)
    in_transaction: bool = False


class Pool:
    def __init__(self, server: Server, limits: Limits) -> None:
        self.server, self.limits = server, limits
        self.free: list[Connection] = []
        self.used = 0
        self.changed = threading.Condition()

    def reconfigure(self, server: Server, limits: Limits) -> None:
        with self.changed:
            self.server, self.limits = server, limits
            self._trim()
            self.changed.notify_all()

    def take(self, user: str, password: str) -> Connection:
        """A connection of `user`. Raises MySQLError when none is free in time or the server refuses."""
        deadline = time.monotonic() + self.limits.wait_seconds
        with self.changed:
            while True:
                found = self._usable(user)
                if found:
                    self.used += 1
                    return found
                if self.used + len(self.free) < self.server.max_connections:
                    self.used += 1
                    break
                if self.free:  # another user's
                    self._close(self.free.pop(0))
                    continue
                left = deadline - time.monotonic()
                if left <= 0:
                    message = (
                        f"Max connect timeout reached while reaching hostgroup {self.server.hostgroup} "
                        f"after {self.limits.wait_seconds * 1000:.0f}ms"
                    )
                    raise MySQLError(9001, message)
                self.changed.wait(left)
        try:
            return self._connect(user, password)
        except BaseException:
            self._gone()
            raise

    def give(self, connection: Connection, *, broken: bool = False) -> None:
        with self.changed:
            self.used -= 1
            if broken:
                self._close(connection)
            else:
                self.free.append(connection)
            self._trim()
            self.changed.notify()

    def close(self) -> None:
        with self.changed:
            while self.free:
                self._close(self.free.pop())

    def _gone(self) -> None:
        with self.changed:
            self.used -= 1
            self.changed.notify()

    def _usable(self, user: str) -> Connection | None:
        self._trim()
        for connection in self.free:
            if connection.user == user:
                self.free.remove(connection)
                return connection
        return None

    def _trim(self) -> None:
        """Closes what is too old, and more free ones than allowed; at least one may stay."""
        age = self.limits.max_age_seconds
        for connection in [each for each in self.free if age and time.monotonic() - each.made > age]:
            self.free.remove(connection)
            self._close(connection)
        keep = max(1, self.server.max_connections * self.limits.free_percent // 100)
        while len(self.free) > keep or (self.free and self.used + len(self.free) > self.server.max_connections):
            self._close(self.free.pop(0))

    def _connect(self, user: str, password: str) -> Connection:
        try:
            sock = socket.create_connection((self.server.address, self.server.port), timeout=self.limits.wait_seconds)
        except OSError as error:
            raise MySQLError(2003, f"Can't connect to {self.server.address}:{self.server.port}: {error}") from error
        sock.settimeout(None)
        try:
            return Connection(protocol.log_in(sock, user, password, self._context()), user)
        except OSError as error:
            sock.close()
            raise MySQLError(
                2026, f"SSL or network error at {self.server.address}:{self.server.port}: {error}"
            ) from error
        except MySQLError:
            sock.close()
            raise

    def _context(self) -> ssl.SSLContext | None:
        if not self.server.use_ssl:
            return None
        context = ssl.create_default_context(cafile=self.limits.ca_file or None)
        context.check_hostname = False
        if not self.limits.ca_file:
            context.verify_mode = ssl.CERT_NONE
        return context

    @staticmethod
    def _close(connection: Connection) -> None:
        connection.wire.sock.close()
