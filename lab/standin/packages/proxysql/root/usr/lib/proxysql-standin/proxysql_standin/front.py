"""What listens: the port of the applications, and the admin port."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

from proxysql_standin import config, protocol
from proxysql_standin.pool import Connection, Limits, Pool, Server
from proxysql_standin.protocol import MySQLError, Wire
from proxysql_standin.store import PARTS, Store

LOAD = re.compile(
    r"(LOAD|SAVE) (MYSQL SERVERS|MYSQL USERS|MYSQL QUERY RULES|MYSQL VARIABLES|ADMIN VARIABLES) (FROM CONFIG|TO RUNTIME|TO DISK)",
    re.IGNORECASE,
)
BEGIN = re.compile(r"\s*(BEGIN|START\s+TRANSACTION)\b", re.IGNORECASE)
END = re.compile(r"\s*(COMMIT|ROLLBACK)\b", re.IGNORECASE)


def listen(address: str, serve: Callable[[socket.socket], None]) -> None:
    """Serves each connection in a thread of its own. Raises OSError if the address can't be had."""
    host, port = address.rsplit(":", 1)
    server = socket.create_server((host, int(port)), backlog=512)

    def accept() -> None:
        while True:
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def authenticate(wire: Wire, version: str, password_of: Callable[[str], str | None]) -> str | None:
    """Greets and reads the login. Returns the user, or None after an error was sent."""
    nonce = protocol.greet(wire, version)
    user, answer = protocol.read_login(wire.read())
    password = password_of(user)
    if password is None or answer != protocol.scramble(password, nonce):
        protocol.write_error(wire, 1045, f"ProxySQL Error: Access denied for user '{user}'", "28000")
        return None
    protocol.write_ok(wire)
    return user


class Proxy:
    """Applications' connections, and the pools that they share."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pools: dict[tuple[int, str, int], Pool] = {}
        self.clients = 0
        self.lock = threading.Lock()

    def apply(self) -> None:
        """Makes the pools follow the runtime tables."""
        limits = Limits(
            wait_seconds=int(self.store.variable("connect_timeout_server_max")) / 1000,
            free_percent=int(self.store.variable("free_connections_pct")),
            max_age_seconds=int(self.store.variable("connection_max_age_ms")) / 1000,
            ca_file=self.store.variable("ssl_p2s_ca"),
        )
        configured = {}
        for row in self.store.rows("runtime_mysql_servers"):
            server = Server(
                int(row["hostgroup_id"]),
                row["hostname"],
                int(row["port"]),
                int(row["max_connections"]),
                bool(int(row["use_ssl"])),
            )
            configured[(server.hostgroup, server.address, server.port)] = server
        with self.lock:
            for key in [key for key in self.pools if key not in configured]:
                self.pools.pop(key).close()
            for key, server in configured.items():
                if key in self.pools:
                    self.pools[key].reconfigure(server, limits)
                else:
                    self.pools[key] = Pool(server, limits)

    def user(self, name: str) -> dict[str, Any] | None:
        rows = self.store.rows("runtime_mysql_users")
        return next((row for row in rows if row["username"] == name and int(row["active"])), None)

    def password(self, name: str) -> str | None:
        return None if self.user(name) is None else self.store.passwords[name]

    def serve(self, sock: socket.socket) -> None:
        wire = Wire(sock)
        with self.lock:
            self.clients += 1
            too_many = self.clients > int(self.store.variable("max_connections"))
        try:
            if too_many:
                protocol.write_error(wire, 1040, "ProxySQL Error: Too many connections", "08004")
                return
            user = authenticate(wire, self.store.variable("server_version"), self.password)
            if user is not None:
                Session(self, wire, user).run()
        except OSError:
            pass
        finally:
            with self.lock:
                self.clients -= 1
            sock.close()


class Session:
    """One application's connection. A connection to a server is held for one query, or for a transaction."""

    def __init__(self, proxy: Proxy, wire: Wire, user: str) -> None:
        self.proxy, self.wire, self.user = proxy, wire, user
        self.held: tuple[Pool, Connection] | None = None

    def run(self) -> None:
        try:
            while True:
                packet = self.wire.read()
                if packet[0] == protocol.QUIT:
                    return
                if packet[0] == protocol.QUERY:
                    self._query(packet)
                elif packet[0] in (protocol.PING, protocol.INIT_DB):
                    protocol.write_ok(self.wire)
                else:
                    protocol.write_error(self.wire, 1047, "Unknown command: the stand-in passes text queries only")
        finally:
            if self.held:
                self.held[0].give(self.held[1], broken=True)

    def _query(self, packet: bytes) -> None:
        text = packet[1:].decode("utf-8", "replace")
        try:
            pool, connection = self.held or self._take(text)
        except MySQLError as error:
            protocol.write_error(self.wire, error.code, str(error))
            return
        self.held = (pool, connection)
        try:
            connection.wire.sequence = 0
            connection.wire.write(packet)
            protocol.relay_answer(connection.wire, self.wire)
        except OSError:
            self.held = None
            pool.give(connection, broken=True)
            raise
        connection.in_transaction = bool(BEGIN.match(text) or (connection.in_transaction and not END.match(text)))
        if not connection.in_transaction:
            self.held = None
            pool.give(connection)

    def _take(self, text: str) -> tuple[Pool, Connection]:
        row = self.proxy.user(self.user) or {}
        hostgroup = self._hostgroup(text, int(row.get("default_hostgroup", 0)))
        with self.proxy.lock:
            pools = [pool for key, pool in self.proxy.pools.items() if key[0] == hostgroup]
        if not pools:
            raise MySQLError(
                9001, f"Max connect timeout reached while reaching hostgroup {hostgroup}: it has no server"
            )
        pool = min(pools, key=lambda each: each.used / max(1, each.server.max_connections))
        return pool, pool.take(self.user, self.proxy.password(self.user) or "")

    def _hostgroup(self, text: str, default: int) -> int:
        rules = self.proxy.store.rows("runtime_mysql_query_rules")
        for rule in sorted((rule for rule in rules if int(rule["active"])), key=lambda rule: int(rule["rule_id"])):
            pattern = rule["match_digest"] or rule["match_pattern"] or ""
            if re.search(pattern, text, re.IGNORECASE):
                return int(rule["destination_hostgroup"])
        return default


class Admin:
    """The admin port: LOAD and SAVE statements; everything else is asked of the tables."""

    def __init__(self, proxy: Proxy, file: str) -> None:
        self.proxy, self.file = proxy, file

    def password(self, user: str) -> str | None:
        credentials = self.proxy.store.variable("admin_credentials", "admin")
        return dict(pair.split(":", 1) for pair in credentials.split(";")).get(user)

    def serve(self, sock: socket.socket) -> None:
        wire = Wire(sock)
        try:
            if authenticate(wire, "8.0.11 (ProxySQL Admin Module)", self.password) is None:
                return
            while True:
                packet = wire.read()
                if packet[0] == protocol.QUIT:
                    return
                self._statement(wire, packet[1:].decode().strip().rstrip(";"))
        except OSError:
            pass
        finally:
            sock.close()

    def _statement(self, wire: Wire, statement: str) -> None:
        try:
            load = LOAD.fullmatch(" ".join(statement.split()))
            if load:
                group, part = load.group(2).split(" ", 1)
                self._load(group.lower(), part.upper(), load.group(3).upper())
                answer = None
            else:
                self._fill_stats()
                answer = self.proxy.store.execute(statement)
        except (sqlite3.Error, config.ConfigError) as error:
            protocol.write_error(wire, 1045, f"ProxySQL Admin Error: {error}")
            return
        if answer is None:
            protocol.write_ok(wire)
        else:
            protocol.write_rows(wire, *answer)

    def _load(self, group: str, part: str, what: str) -> None:
        if what == "FROM CONFIG":
            self.proxy.store.load_file(part, config.read(self.file), group)
        elif what == "TO RUNTIME":
            self.proxy.store.to_runtime(part)
            self.proxy.apply()

    def _fill_stats(self) -> None:
        store = self.proxy.store
        with store.lock:
            store.database.execute("DELETE FROM stats_mysql_connection_pool")
            for pool in self.proxy.pools.values():
                row = (pool.server.hostgroup, pool.server.address, pool.server.port, pool.used, len(pool.free))
                store.database.execute("INSERT INTO stats_mysql_connection_pool VALUES (?, ?, ?, ?, ?)", row)


def start(file: str) -> None:
    """Reads the file, listens on both ports. Raises ConfigError, OSError."""
    settings = config.read(file)
    store = Store()
    store.load_file("VARIABLES", settings, "admin")
    for part in PARTS:
        store.load_file(part, settings)
        store.to_runtime(part)
    proxy = Proxy(store)
    proxy.apply()
    listen(store.variable("mysql_ifaces", "admin"), Admin(proxy, file).serve)
    for address in store.variable("interfaces").split(";"):
        listen(address, proxy.serve)
