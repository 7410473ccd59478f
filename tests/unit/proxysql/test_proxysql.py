"""The role's configuration, ProxySQL's admin port and the pools' limits, on the stand-in and a database that counts."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.module_utils._proxysql import admin as proxysql_admin
from ansible_collections.ecommerce.fleet.plugins.module_utils._proxysql.admin import Admin, CredentialsError
from ansible_collections.ecommerce.fleet.plugins.module_utils._proxysql.client import Client, MySQLError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._proxysql import config as proxysql_config

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "lab/standin/packages/proxysql/root/usr/lib/proxysql-standin"))

from proxysql_standin import config, front  # noqa: E402

from tests.support.ports import free_port  # noqa: E402


def program(file: Path) -> Any:
    """A program of the scenario, which is in no package."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Database = program(ROOT / "molecule/proxysql/files/database.py").Database
ROLE = ROOT / "roles/proxysql"
DEFAULTS: dict[str, Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
NAMES = yaml.safe_load((ROLE / "vars/main/main.yml").read_text())["__proxysql_values"]
SECRETS = {"admin": 'a"d\\min', "monitor": "mon", "users.shop": 's3"cret'}
WRITER = {"address": "127.0.0.1", "port": 3306, "role": "writer", "max_connections": 100}
READER = {"address": "10.0.0.9", "role": "reader", "instance_class": "db.r5.large"}


def values(**changed: Any) -> dict[str, Any]:
    given = {"servers": [WRITER], "users": ["shop"], "fleet_maximum": 6}
    return {name: DEFAULTS.get(f"proxysql_{name}") for name in NAMES} | given | changed


class Running:
    """A database, and the stand-in before it with the role's configuration."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.database = Database({"shop": SECRETS["users.shop"]}, limit=1000)
        self.port, self.admin_port = free_port(), free_port()
        self.file = folder / "proxysql.cnf"
        self.changed = {
            "port": self.port,
            "admin_port": self.admin_port,
            "backend_tls": False,
            "queue_seconds": 1,
        } | changed
        self.write()
        front.start(str(self.file))
        self.admin = Admin(self.admin_port, [SECRETS["admin"]])

    def values(self, **changed: Any) -> dict[str, Any]:
        server = WRITER | {"port": self.database.port, "max_connections": 70}
        fleet = {"fleet_maximum": 6, "fleet_surge": 0, "reserved_connections": 10}
        given = fleet | self.changed | changed
        return values(servers=[server, *given.pop("more_servers", [])], **given)

    def write(self, **changed: Any) -> None:
        self.file.write_text(proxysql_admin.fill(proxysql_config.text(self.values(**changed)), SECRETS, "file"))

    def desired(self, **changed: Any) -> dict[str, Any]:
        wanted = proxysql_config.wanted(self.values(**changed))
        return proxysql_admin.filled(wanted, SECRETS)  # type: ignore[no-any-return]

    def client(self, password: str = SECRETS["users.shop"]) -> Client:
        return Client(self.port, "shop", password)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("proxysql"))
    yield running
    running.database.close()


def ask(running: Running, statement: str, answers: list[Any]) -> None:
    try:
        client = running.client()
        answers.append(client.query(statement))
        client.close()
    except MySQLError as error:
        answers.append(error)


def at_once(running: Running, count: int, statement: str) -> list[Any]:
    answers: list[Any] = []
    threads = [threading.Thread(target=ask, args=(running, statement, answers)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_running_program_is_what_the_role_wants(running: Running) -> None:
    assert running.admin.error(running.desired()) is None


def test_one_query_more_than_the_pool_waits_and_the_limit_is_never_passed(running: Running) -> None:
    """70 connections, 10 reserved, 6 hosts, 3 of the proxy's own: 7 each."""
    assert [row["max_connections"] for row in running.desired()["tables"]["mysql_servers"]] == ["7"]
    answers = at_once(running, 8, "SELECT SLEEP(0.3)")
    assert answers == [[["0"]]] * 8
    assert running.database.peak == 7


def test_who_waits_too_long_gets_an_error_not_a_connection(running: Running) -> None:
    answers = at_once(running, 8, "SELECT SLEEP(1.5)")
    refused = [answer for answer in answers if isinstance(answer, MySQLError)]
    assert len(refused) == 1
    assert "Max connect timeout reached while reaching hostgroup 10" in str(refused[0])
    assert running.database.peak == 7


def test_a_transaction_keeps_its_connection_and_gives_it_back(running: Running) -> None:
    clients = [running.client() for _ in range(7)]
    for client in clients:
        client.query("BEGIN")
    with pytest.raises(MySQLError, match="Max connect timeout"):
        running.client().query("SELECT 1")
    for client in clients:
        client.query("COMMIT")
    assert running.client().query("SELECT 1") == [["1"]]


def test_a_wrong_password_is_refused(running: Running) -> None:
    with pytest.raises(MySQLError, match="Access denied"):
        running.client("wrong")
    with pytest.raises(MySQLError, match="Access denied"):
        Client(running.admin_port, "admin", "admin")


def test_a_changed_file_is_loaded_while_applications_stay_connected(running: Running) -> None:
    client = running.client()
    client.query("SELECT 1")
    running.write(fleet_maximum=10)
    smaller = running.desired(fleet_maximum=10)
    assert "max_connections is 7, not 3" in (running.admin.error(smaller) or "")
    assert running.admin.load() is None
    assert running.admin.error(smaller) is None
    assert client.query("SELECT 1") == [["1"]]
    at_once(running, 6, "SELECT SLEEP(0.2)")
    assert running.database.connections <= 3
    running.write()
    assert running.admin.load() is None


def test_what_only_a_restart_changes_is_seen_as_different_after_loading(running: Running) -> None:
    wanted = running.desired(host_vcpus=4)
    running.write(host_vcpus=4)
    assert running.admin.load() is None
    assert running.admin.error(wanted) == "mysql-threads is 2, not 4"
    running.write()
    assert running.admin.load() is None


BY_HAND = {
    "a pool": (
        "UPDATE mysql_servers SET max_connections = 500",
        "mysql_servers 127.0.0.1:DB: max_connections is 500, not 7",
    ),
    "TLS to the database": ("UPDATE mysql_servers SET use_ssl = 1", "mysql_servers 127.0.0.1:DB: use_ssl is 1, not 0"),
    "a lag": (
        "UPDATE mysql_servers SET max_replication_lag = 9",
        "mysql_servers 127.0.0.1:DB: max_replication_lag is 9, not 0",
    ),
    "a server's group": (
        "UPDATE mysql_servers SET hostgroup_id = 30",
        "mysql_servers 127.0.0.1:DB: hostgroup_id is 30, not 10",
    ),
    "a server in two groups": (
        "INSERT INTO mysql_servers SELECT 20, hostname, port, status, weight, compression, max_connections, max_replication_lag, use_ssl, "
        "max_latency_ms, comment FROM mysql_servers",
        "mysql_servers has 127.0.0.1:DB more than once",
    ),
    "a server that is off": ("UPDATE mysql_servers SET status = 'OFFLINE_HARD'", "mysql_servers has 127.0.0.1:DB not"),
    "no server": ("DELETE FROM mysql_servers", "mysql_servers has 127.0.0.1:DB not"),
    "a user's group": (
        "UPDATE mysql_users SET default_hostgroup = 20",
        "mysql_users shop: default_hostgroup is 20, not 10",
    ),
    "a user's limit": ("UPDATE mysql_users SET max_connections = 1", "mysql_users shop: max_connections is 1, not 80"),
    "a user's password": ("UPDATE mysql_users SET password = 'topsecret'", "mysql_users shop: password is another one"),
    "another user": (
        "INSERT INTO mysql_users (username, password, active) VALUES ('eve', 'topsecret', 1)",
        "mysql_users has eve, which is not declared",
    ),
    "a rule": (
        "INSERT INTO mysql_query_rules (rule_id, active, match_digest, apply) VALUES (5, 1, '.', 1)",
        "mysql_query_rules has 5, which is not declared",
    ),
    "a pair of groups": (
        "INSERT INTO mysql_replication_hostgroups VALUES (10, 20, 'read_only', '')",
        "mysql_replication_hostgroups has 10, which is not declared",
    ),
    "a variable": (
        "UPDATE global_variables SET variable_value = '1' WHERE variable_name = 'mysql-wait_timeout'",
        "mysql-wait_timeout is 1, not 1800000",
    ),
    "the monitor's password": (
        "UPDATE global_variables SET variable_value = 'topsecret' WHERE variable_name = 'mysql-monitor_password'",
        "mysql-monitor_password is another one",
    ),
    "another administrator": (
        "UPDATE global_variables SET variable_value = variable_value || ';eve:topsecret' WHERE variable_name = 'admin-admin_credentials'",
        "admin-admin_credentials is another one",
    ),
}


def by_hand(running: Running, statement: str) -> None:
    client = Client(running.admin_port, "admin", SECRETS["admin"])
    client.query(statement)
    for part in proxysql_admin.PARTS:
        client.query(f"LOAD {part} TO RUNTIME")
    client.close()


@pytest.mark.parametrize("what", BY_HAND)
def test_whatever_somebody_changed_by_hand_is_named_and_fixed_by_loading(running: Running, what: str) -> None:
    statement, expected = BY_HAND[what]
    by_hand(running, statement)
    error = running.admin.error(running.desired()) or ""
    assert running.admin.load() is None
    assert error.replace(str(running.database.port), "DB") == expected
    assert running.admin.error(running.desired()) is None
    assert running.client().query("SELECT 1") == [["1"]]


@pytest.mark.parametrize("column", ["active", "match_digest", "destination_hostgroup", "apply"])
def test_every_part_of_a_rule_is_compared(tmp_path: Path, column: str) -> None:
    split = {"split_reads": True, "more_servers": [READER]}
    running = Running(tmp_path, **split)
    assert running.admin.error(running.desired()) is None
    by_hand(running, f"UPDATE mysql_query_rules SET {column} = 7 WHERE rule_id = 2")  # noqa: S608
    assert f"mysql_query_rules 2: {column} is 7, not " in (running.admin.error(running.desired()) or "")


def test_a_failover_between_the_groups_is_no_difference(tmp_path: Path) -> None:
    running = Running(tmp_path, more_servers=[READER])
    by_hand(running, "UPDATE mysql_servers SET hostgroup_id = 30 - hostgroup_id")
    assert running.admin.error(running.desired()) is None
    by_hand(running, "UPDATE mysql_replication_hostgroups SET check_type = 'innodb_read_only'")
    assert (running.admin.error(running.desired()) or "").startswith("mysql_replication_hostgroups 10: check_type is")


def test_every_value_of_the_file_is_compared() -> None:
    """What the role writes, and what it asks for afterwards, are the same."""
    given = values(servers=[WRITER, READER], split_reads=True, backend_ca_file="/etc/ca.pem")
    read = config.Parser(proxysql_admin.fill(proxysql_config.text(given), SECRETS, "file"), "file").settings()
    asked = proxysql_admin.filled(proxysql_config.wanted(given), SECRETS)
    variables = {
        f"{group}-{name}": str(value)
        for group in ("mysql", "admin")
        for name, value in read[f"{group}_variables"].items()
    }
    assert asked["variables"] == variables
    for table, rows in asked["tables"].items():
        named = [
            {proxysql_config.COLUMNS.get(name, name): str(value) for name, value in row.items()} for row in read[table]
        ]
        assert rows == named
    assert set(read) - {"datadir", "errorlog", "mysql_variables", "admin_variables"} == set(asked["tables"])


def test_nobody_at_the_admin_port_is_an_error_that_names_it() -> None:
    assert "admin port 1: no answer" in (Admin(1, ["x"]).error({}) or "")


def test_the_defaults_with_a_server_are_allowed() -> None:
    assert proxysql_config.violations(values()) == []
    assert proxysql_config.violations(values(servers=[WRITER, READER], split_reads=True)) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"servers": []}, "has no writer"),
        ({"servers": [WRITER | {"role": "master"}]}, "'master'; allowed are writer and reader"),
        ({"servers": [WRITER | {"address": "a b"}]}, "address 'a b'"),
        ({"servers": [WRITER | {"max_connections": 0}]}, "needs max_connections"),
        ({"servers": [WRITER, WRITER | {"role": "reader"}]}, "counted twice"),
        ({"servers": [WRITER, READER | {"instance_class": "db.x9.large"}]}, "10.0.0.9:3306: the memory of instance class 'db.x9.large'"),
        ({"split_reads": True}, "has no reader"),
        ({"users": []}, "proxysql_users is empty"),
        ({"users": ["o'hara"]}, 'has \'o\'hara\''),
        ({"monitor_user": ""}, "proxysql_monitor_user"),
        ({"port": 70000}, "1 to 65535"),
        ({"port": 6032}, "needs its own"),
        ({"free_connections_percent": 101}, "0 to 100"),
        ({"backend_ca_file": "ca.pem"}, "absolute path"),
        ({"fleet_maximum": 40}, "leave 0 for a host's pool"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_named(changed: dict[str, Any], expected: str) -> None:
    assert [sentence for sentence in proxysql_config.violations(values(**changed)) if expected in sentence] != []


def test_the_text_is_what_libconfig_reads_and_holds_every_decision() -> None:
    text = proxysql_config.text(values(servers=[WRITER, READER], split_reads=True, backend_ca_file="/etc/ca.pem"))
    read = config.Parser(proxysql_admin.fill(text, SECRETS, "file"), "file").settings()
    assert read["admin_variables"]["admin_credentials"] == 'admin:a"d\\min'
    assert read["mysql_users"][0]["password"] == 's3"cret'
    assert read["mysql_variables"]["ssl_p2s_ca"] == "/etc/ca.pem"
    assert read["mysql_variables"]["monitor_writer_is_also_reader"] == "false"
    assert [(row["hostgroup"], row["use_ssl"], row["max_replication_lag"]) for row in read["mysql_servers"]] == [
        (10, 1, 0),
        (20, 1, 10),
    ]
    assert [rule["destination_hostgroup"] for rule in read["mysql_query_rules"]] == [10, 20]
    assert read["mysql_replication_hostgroups"][0]["check_type"] == "read_only"
    assert "mysql_query_rules =\n(\n\n)" in proxysql_config.text(values())


def test_every_password_is_a_placeholder_in_what_leaves_the_control_node() -> None:
    text = proxysql_config.text(values(users=["shop", "jobs"]))
    assert proxysql_admin.PLACEHOLDER.findall(text) == ["admin", "monitor", "users.shop", "users.jobs"]


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        ('{"admin": "a", "monitor": "m", "users": {}}', 0o644, "only root may read it"),
        ("{", 0o600, "is not of the form"),
        ('{"admin": "a", "users": {}}', 0o600, "is not of the form"),
        ('{"admin": "topsecret:x", "monitor": "m", "users": {}}', 0o600, "has ':' or ';'"),
        ('{"admin": "a", "monitor": "", "users": {}}', 0o600, "is empty"),
        ('{"admin": "a", "monitor": "m", "users": {"shop": "*topsecret"}}', 0o600, "begins with '*'"),
        ('{"admin": "a", "monitor": "m", "users": {"shop": "topsecret\\n"}}', 0o600, "control characters"),
        ('{"admin": "a", "monitor": "m", "users": {"other": "topsecret"}}', 0o600, "no password for users.shop"),
    ],
)
def test_credentials_that_can_not_be_used_are_refused_without_showing_them(
    tmp_path: Path, content: str, mode: int, expected: str
) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(content)
    file.chmod(mode)
    if os.getuid() != 0:
        pytest.skip("only root owns files as root")
    with pytest.raises(CredentialsError) as error:
        proxysql_admin.fill(proxysql_config.text(values()), proxysql_admin.read_credentials(str(file)), str(file))
    assert expected in str(error.value)
    assert "topsecret" not in str(error.value)


def test_credentials_are_read_by_key(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root owns files as root")
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"admin": "a", "monitor": "m", "users": {"shop": "ü"}}))
    file.chmod(0o600)
    assert proxysql_admin.read_credentials(str(file)) == {"admin": "a", "monitor": "m", "users.shop": "ü"}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = ", 1), ("a = 1\nb = {\n", 3), ("a = 1\n\nb : $", 3), ("a = 1 a = 2", 1), ("a = (1 2)", 1), ("a = 1x", 1)],
)
def test_the_stand_in_refuses_a_broken_file_with_its_line(text: str, line: int) -> None:
    with pytest.raises(config.ConfigError, match=f"Parse error at file:{line} - "):
        config.Parser(text, "file").settings()


def test_the_stand_in_waits_for_no_database_that_is_not_there(tmp_path: Path) -> None:
    gone = Running(tmp_path)
    gone.database.close()
    started = time.monotonic()
    with pytest.raises(MySQLError, match="Can't connect"):
        gone.client().query("SELECT 1")
    assert time.monotonic() - started < 3
