"""ProxySQL's tables: what is loaded (memory) and what is in effect (runtime_…), in SQLite as in the real one."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Mapping
from typing import Any

from proxysql_standin import config

TABLES: dict[str, dict[str, Any]] = {
    "mysql_servers": {
        "hostgroup_id": 0, "hostname": "", "port": 3306, "status": "ONLINE", "weight": 1, "compression": 0,
        "max_connections": 1000, "max_replication_lag": 0, "use_ssl": 0, "max_latency_ms": 0, "comment": "",
    },
    "mysql_users": {
        "username": "", "password": "", "active": 1, "use_ssl": 0, "default_hostgroup": 0, "default_schema": "", "max_connections": 10000,
        "transaction_persistent": 1, "comment": "",
    },
    "mysql_query_rules": {
        "rule_id": 0, "active": 0, "username": None, "match_digest": None, "match_pattern": None, "destination_hostgroup": None, "apply": 0,
        "comment": None,
    },
    "mysql_replication_hostgroups": {"writer_hostgroup": 0, "reader_hostgroup": 0, "check_type": "read_only", "comment": ""},
    "global_variables": {"variable_name": "", "variable_value": ""},
}  # fmt: skip
"""Table → column → default."""
KEYS = {
    "mysql_servers": "hostgroup_id, hostname, port",
    "mysql_users": "username",
    "mysql_query_rules": "rule_id",
    "mysql_replication_hostgroups": "writer_hostgroup",
    "global_variables": "variable_name",
}
OTHER_NAMES = {"address": "hostname", "hostgroup": "hostgroup_id"}
PARTS = {
    "SERVERS": ("mysql_servers", "mysql_replication_hostgroups"),
    "USERS": ("mysql_users",),
    "QUERY RULES": ("mysql_query_rules",),
    "VARIABLES": ("global_variables",),
}
"""What `LOAD MYSQL …` and `LOAD ADMIN …` name → its tables."""
VARIABLES = {
    "threads": "4", "max_connections": "2048", "interfaces": "0.0.0.0:6033", "connect_timeout_server_max": "10000",
    "connection_max_age_ms": "0", "free_connections_pct": "10", "wait_timeout": "28800000", "monitor_username": "monitor",
    "monitor_password": "monitor", "monitor_writer_is_also_reader": "true", "ssl_p2s_ca": "", "server_version": "8.0.11",
    "default_schema": "information_schema", "stacksize": "1048576",
}  # fmt: skip
"""mysql variables that the stand-in knows, with the real one's defaults. Others are ignored, as the real one ignores unknown ones."""
ADMIN_VARIABLES = {"admin_credentials": "admin:admin", "mysql_ifaces": "0.0.0.0:6032"}
FIXED = ("mysql-threads", "mysql-interfaces", "mysql-stacksize")
"""Only a restart changes these."""


class Store:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        for table, columns in TABLES.items():
            names = ", ".join(columns)
            for name in (table, f"runtime_{table}"):
                self.database.execute(f"CREATE TABLE {name} ({names}, PRIMARY KEY ({KEYS[table]}))")
        self.database.execute(
            "CREATE TABLE stats_mysql_connection_pool (hostgroup, srv_host, srv_port, ConnUsed, ConnFree)"
        )
        self.passwords: dict[str, str] = {}
        """Of the users at runtime. The real one needs only the hash that its table shows."""
        for group, known in (("mysql", VARIABLES), ("admin", ADMIN_VARIABLES)):
            rows = ({"variable_name": f"{group}-{name}", "variable_value": value} for name, value in known.items())
            self._add("global_variables", *rows)

    def load_file(self, part: str, settings: Mapping[str, Any], group: str = "mysql") -> None:
        """`LOAD <group> <part> FROM CONFIG`: rows of the file are added, or replace those with the same key."""
        with self.lock:
            if part == "VARIABLES":
                known = VARIABLES if group == "mysql" else ADMIN_VARIABLES
                rows = [
                    {"variable_name": f"{group}-{name}", "variable_value": str(value)}
                    for name, value in settings.get(f"{group}_variables", {}).items()
                    if name in known
                ]
                self._add("global_variables", *rows)
                return
            for table in PARTS[part]:
                self._add(table, *settings.get(table, []))

    def to_runtime(self, part: str) -> None:
        with self.lock:
            for table in PARTS[part]:
                fixed = "'" + "', '".join(FIXED) + "'"
                if table == "global_variables" and self.rows("runtime_global_variables"):
                    self.database.execute(
                        "INSERT OR REPLACE INTO global_variables SELECT * FROM runtime_global_variables "
                        f"WHERE variable_name IN ({fixed})"
                    )
                self.database.execute(f"DELETE FROM runtime_{table}")
                self.database.execute(f"INSERT INTO runtime_{table} SELECT * FROM {table}")
                if table == "mysql_users":
                    self._hash_passwords()

    def _hash_passwords(self) -> None:
        """As admin-hash_passwords does by default: what runs shows hashes only."""
        self.passwords = {str(row["username"]): str(row["password"]) for row in self.rows("mysql_users")}
        for user, password in self.passwords.items():
            once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
            shown = "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
            self.database.execute("UPDATE runtime_mysql_users SET password = ? WHERE username = ?", (shown, user))

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.lock:
            cursor = self.database.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def variable(self, name: str, group: str = "mysql") -> str:
        rows = {row["variable_name"]: row["variable_value"] for row in self.rows("runtime_global_variables")}
        return str(rows[f"{group}-{name}"])

    def execute(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]] | None:
        """Any other statement is SQLite's. Returns columns and rows, or None for a statement without any."""
        with self.lock:
            cursor = self.database.execute(statement)
            if cursor.description is None:
                return None
            return [column[0] for column in cursor.description], cursor.fetchall()

    def _add(self, table: str, *rows: Mapping[str, Any]) -> None:
        columns = TABLES[table]
        for row in rows:
            named = {OTHER_NAMES.get(name, name): value for name, value in row.items()}
            unknown = sorted(set(named) - set(columns))
            if unknown:
                raise config.ConfigError(f"{table}: unknown setting {', '.join(unknown)}")
            values = [named.get(name, default) for name, default in columns.items()]
            marks = ", ".join("?" * len(values))
            self.database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)
