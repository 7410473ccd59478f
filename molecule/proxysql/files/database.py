"""A MySQL server that counts its connections: refuses more than its limit as the real one does, and answers a few queries.

    python3 database.py PORT LIMIT CREDENTIALS [CERTIFICATE KEY]

CREDENTIALS is the role's file of passwords: none is on a command line, so that the tests can look for those that are.
`SELECT SLEEP(n)` and `DO SLEEP(n)` take their time, `SELECT @@peak` gives the most connections there ever were, anything else answers 1.
The protocol is that of the stand-in for ProxySQL.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

from proxysql_standin import protocol
from proxysql_standin.protocol import Wire

SLEEP = re.compile(r"(?:SELECT|DO) SLEEP\(([\d.]+)\)", re.IGNORECASE)


def has_left(sock: socket.socket) -> bool:
    """Whether the other side has closed; its thread may not have noticed yet."""
    try:
        return socket.socket.recv(sock, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except ConnectionResetError:
        return True
    except OSError:  # it says nothing just now, or TLS is being agreed on
        return False


class Database:
    """Listens on a port of 127.0.0.1 until it is closed."""

    def __init__(self, users: dict[str, str], limit: int, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.users, self.limit, self.context = users, limit, context
        self.wires: list[Wire] = []
        self.peak = 0
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        return sum(not has_left(wire.sock) for wire in list(self.wires))

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        wire = Wire(sock)
        with self.lock:
            self.wires.append(wire)
            now = self.connections
            self.peak = max(self.peak, now)
        too_many = now > self.limit
        try:
            if too_many:
                protocol.write_error(wire, 1040, "Too many connections", "08004")
            elif self._log_in(wire):
                while self._answer(wire):
                    pass
        except OSError:
            pass
        finally:
            with self.lock:
                self.wires.remove(wire)
            wire.sock.close()

    def _log_in(self, wire: Wire) -> bool:
        nonce = protocol.greet(wire, "8.0.40", tls=self.context is not None)
        login = wire.read()
        encrypted = False
        if self.context and len(login) == 32:
            wire.sock = self.context.wrap_socket(wire.sock, server_side=True)
            login, encrypted = wire.read(), True
        user, answer = protocol.read_login(login)
        if self.context and not encrypted:
            protocol.write_error(wire, 3159, "Connections using insecure transport are prohibited")
        elif user not in self.users or answer != protocol.scramble(self.users[user], nonce):
            protocol.write_error(wire, 1045, f"Access denied for user '{user}'", "28000")
        else:
            protocol.write_ok(wire)
            return True
        return False

    def _answer(self, wire: Wire) -> bool:
        packet = wire.read()
        if packet[0] == protocol.QUIT:
            return False
        text = packet[1:].decode()
        sleep = SLEEP.fullmatch(text)
        if sleep:
            time.sleep(float(sleep.group(1)))
            protocol.write_rows(wire, ["sleep"], [["0"]])
        elif text == "SELECT @@peak":
            protocol.write_rows(wire, ["peak"], [[self.peak]])
        elif text.upper() in ("BEGIN", "COMMIT", "ROLLBACK"):
            protocol.write_ok(wire)
        else:
            protocol.write_rows(wire, ["1"], [["1"]])
        return True


def main() -> None:
    port, limit, credentials, *files = sys.argv[1:]
    users = json.loads(Path(credentials).read_text())["users"]
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    Database(users, int(limit), int(port), context)
    threading.Event().wait()


if __name__ == "__main__":
    main()
