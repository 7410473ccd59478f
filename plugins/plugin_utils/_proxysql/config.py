# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ProxySQL's configuration from the variables of the role proxysql. Passwords are only placeholders here: the host fills them in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils._proxysql import pool
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._proxysql.pool import Fleet, Host, Pool

WRITER, READER = 10, 20
ROLES = ("writer", "reader")
ADDRESS = r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?"
NAME = r"[A-Za-z0-9_.-]{1,32}"
COLUMNS = {"address": "hostname", "hostgroup": "hostgroup_id"}
"""Name in the configuration file → in the tables, where they differ."""
RANGES = {
    "port": (1, 65535),
    "admin_port": (1, 65535),
    "free_connections_percent": (0, 100),
    "connection_max_age_seconds": (0, 86400),
    "client_idle_seconds": (1, 86400),
    "max_replication_lag_seconds": (0, 3600),
    "queue_seconds": (1, 600),
}
"""Variable → least, most."""


def violations(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that is not allowed. `values`: the role's variables without their prefix."""
    found = [*_ranges(values), *_servers(values), *_names(values)]
    if not found:
        try:
            pools(values)
        except ValueError as error:
            found.append(f"{error}.")
    return found


def _ranges(values: Mapping[str, Any]) -> Iterator[str]:
    for name, (least, most) in RANGES.items():
        if not least <= int(values[name]) <= most:
            yield f"proxysql_{name} is {values[name]}; allowed are {least} to {most}."
    if values["port"] == values["admin_port"]:
        yield f"proxysql_port and proxysql_admin_port are both {values['port']}; each needs its own."


def _servers(values: Mapping[str, Any]) -> Iterator[str]:
    servers = values["servers"]
    for server in servers:
        if not re.fullmatch(ADDRESS, server["address"]):
            yield f"proxysql_servers has address '{server['address']}'; allowed is a host name or an address."
        if server["role"] not in ROLES:
            yield f"proxysql_servers has role '{server['role']}'; allowed are {' and '.join(ROLES)}."
        if not server.get("max_connections") and not server.get("instance_class"):
            yield f"proxysql_servers: {server['address']} needs max_connections (SELECT @@max_connections) or an RDS instance_class."
    places = [_place(server) for server in servers]
    for address, port in sorted({place for place in places if places.count(place) > 1}):
        yield f"proxysql_servers names {address}:{port} twice; its connections would then be counted twice."
    if not [server for server in servers if server["role"] == "writer"]:
        yield "proxysql_servers has no writer; at least one server with role: writer is needed."
    if values["split_reads"] and not [server for server in servers if server["role"] == "reader"]:
        yield "proxysql_split_reads is true, but proxysql_servers has no reader."


def _names(values: Mapping[str, Any]) -> Iterator[str]:
    for variable, names in (("users", values["users"]), ("monitor_user", [values["monitor_user"]])):
        for name in names:
            if not re.fullmatch(NAME, name):
                yield f"proxysql_{variable} has '{name}'; allowed are up to 32 letters, digits, '_', '.' and '-'."
    if not values["users"]:
        yield "proxysql_users is empty; at least one user is needed."
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)*", values["backend_ca_file"]):
        yield f"proxysql_backend_ca_file is '{values['backend_ca_file']}'; allowed is an absolute path, or nothing."


def _place(server: Mapping[str, Any]) -> tuple[str, int]:
    return str(server["address"]), int(server.get("port") or 3306)


def pools(values: Mapping[str, Any]) -> dict[str, Pool]:
    """`address:port` → its pool on each host. Raises ValueError naming the server whose share is too small."""
    fleet = Fleet(int(values["fleet_maximum"]), int(values["fleet_surge"]), int(values["fleet_other_hosts"]))
    host = Host(
        vcpus=int(values["host_vcpus"]),
        processes=int(values["app_processes"]),
        connections_per_process=int(values["app_connections_per_process"]),
        connections_per_vcpu=int(values["connections_per_vcpu"]),
    )
    sizes = {}
    for server in values["servers"]:
        place = "{}:{}".format(*_place(server))
        try:
            limit = int(server.get("max_connections") or 0) or pool.estimated_limit(server["instance_class"])
            sizes[place] = pool.pool_size(
                limit, int(values["reserved_connections"]), fleet, host, minimum=int(values["minimum_pool"])
            )
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    return sizes


def variables(values: Mapping[str, Any]) -> dict[str, str]:
    """ProxySQL's mysql variables, without those that hold a secret. Times are milliseconds there."""
    chosen: dict[str, Any] = {
        "threads": values["host_vcpus"],
        "interfaces": f"{values['bind_address']}:{values['port']}",
        # Clients wait here for a connection of the pool: more of them than the pool has, but not without end.
        "max_connections": 2 * int(values["app_processes"]) * int(values["app_connections_per_process"]),
        "connect_timeout_server_max": int(values["queue_seconds"]) * 1000,
        "connection_max_age_ms": int(values["connection_max_age_seconds"]) * 1000,
        "free_connections_pct": values["free_connections_percent"],
        "wait_timeout": int(values["client_idle_seconds"]) * 1000,
        "monitor_username": values["monitor_user"],
        # A writer that is also in the readers' group would get a second pool, and the database's limit could be passed.
        "monitor_writer_is_also_reader": "false",
    }
    if values["backend_tls"] and values["backend_ca_file"]:
        chosen["ssl_p2s_ca"] = values["backend_ca_file"]
    return {name: str(value) for name, value in chosen.items()}


def servers(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    sizes = pools(values)
    rows = []
    for server in values["servers"]:
        address, port = _place(server)
        reader = server["role"] == "reader"
        row = {
            "hostgroup": READER if reader else WRITER,
            "address": address,
            "port": port,
            "max_connections": sizes[f"{address}:{port}"].size,
            "use_ssl": int(bool(values["backend_tls"])),
            "max_replication_lag": int(values["max_replication_lag_seconds"]) if reader else 0,
        }
        rows.append(row)
    return rows


def rules(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """SELECT to the readers only when asked; one that locks rows belongs to the writer."""
    if not values["split_reads"]:
        return []
    return [
        {
            "rule_id": 1,
            "active": 1,
            "match_digest": "^SELECT.*FOR (UPDATE|SHARE)",
            "destination_hostgroup": WRITER,
            "apply": 1,
        },
        {"rule_id": 2, "active": 1, "match_digest": "^SELECT", "destination_hostgroup": READER, "apply": 1},
    ]


def literal(value: str | int) -> str:
    """A value as libconfig writes it."""
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _group(name: str, pairs: Mapping[str, str | int]) -> list[str]:
    return [f"{name} =", "{", *(f"  {key} = {literal(value)}" for key, value in pairs.items()), "}", ""]


def _list(name: str, rows: Sequence[Mapping[str, str | int]]) -> list[str]:
    texts = ["  { " + ", ".join(f"{key} = {literal(value)}" for key, value in row.items()) + " }" for row in rows]
    return [f"{name} =", "(", ",\n".join(texts), ")", ""]


def admin_variables(values: Mapping[str, Any]) -> dict[str, str]:
    return {"admin_credentials": "admin:@secret:admin@", "mysql_ifaces": f"127.0.0.1:{values['admin_port']}"}


def users(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    most = int(variables(values)["max_connections"])
    return [
        {"username": user, "password": f"@secret:users.{user}@", "default_hostgroup": WRITER, "max_connections": most}
        for user in values["users"]
    ]


def groups(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without readers there is nothing to move between the groups, and nobody has to be asked for read_only."""
    if not any(server["role"] == "reader" for server in values["servers"]):
        return []
    return [{"writer_hostgroup": WRITER, "reader_hostgroup": READER, "check_type": "read_only"}]


def tables(values: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Everything that the role sets in ProxySQL's tables, with the names of the configuration file."""
    return {
        "mysql_servers": servers(values),
        "mysql_users": users(values),
        "mysql_query_rules": rules(values),
        "mysql_replication_hostgroups": groups(values),
    }


def text(values: Mapping[str, Any]) -> str:
    """proxysql.cnf; `@secret:KEY@` stands for a password in the host's credentials file."""
    lines = [
        'datadir = "/var/lib/proxysql"',
        'errorlog = "/var/lib/proxysql/proxysql.log"',
        "",
        *_group("admin_variables", admin_variables(values)),
        *_group("mysql_variables", {**variables(values), "monitor_password": "@secret:monitor@"}),
        *(line for name, rows in tables(values).items() for line in _list(name, rows)),
    ]
    return "\n".join(lines)


def wanted(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a running ProxySQL must say of itself: all that `text` sets, as variables by name and as rows of tables."""
    mysql = {**variables(values), "monitor_password": "@secret:monitor@"}
    return {
        "variables": {
            **{f"mysql-{name}": value for name, value in mysql.items()},
            **{f"admin-{name}": value for name, value in admin_variables(values).items()},
        },
        "tables": {
            table: [{COLUMNS.get(name, name): str(value) for name, value in row.items()} for row in rows]
            for table, rows in tables(values).items()
        },
    }
