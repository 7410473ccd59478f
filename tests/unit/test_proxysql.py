"""The role's configuration, ProxySQL's admin port and the pools' limits, on the stand-in and a database that counts."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.module_utils import proxysql_admin
from ansible_collections.ecommerce.fleet.plugins.module_utils.mysql_client import Client, MySQLError
from ansible_collections.ecommerce.fleet.plugins.module_utils.proxysql_admin import Admin, CredentialsError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import proxysql_config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab/standin/packages/proxysql/root/usr/lib/proxysql-standin"))

from proxysql_standin import config, front  # noqa: E402


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
NAMES = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__proxysql_values"]
SECRETS = {"admin": 'a"d\\min', "monitor": "mon", "users.shop": 's3"cret'}
WRITER = {"address": "127.0.0.1", "port": 3306, "role": "writer", "max_connections": 100}
READER = {"address": "10.0.0.9", "role": "reader", "instance_class": "db.r5.large"}


def values(**changed: Any) -> dict[str, Any]:
    given = {"servers": [WRITER], "users": ["shop"], "fleet_maximum": 6}
    return {name: DEFAULTS.get(f"proxysql_{name}") for name in NAMES} | given | changed


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


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
        return values(servers=[server], **(fleet | self.changed | changed))

    def write(self, **changed: Any) -> None:
        self.file.write_text(proxysql_admin.fill(proxysql_config.text(self.values(**changed)), SECRETS, "file"))

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
    assert running.admin.trouble(proxysql_config.wanted(running.values())) is None


def test_one_query_more_than_the_pool_waits_and_the_limit_is_never_passed(running: Running) -> None:
    """70 connections, 10 reserved, 6 hosts, 3 of the proxy's own: 7 each."""
    assert proxysql_config.wanted(running.values())["servers"] == {f"127.0.0.1:{running.database.port}": 7}
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
    smaller = proxysql_config.wanted(running.values(fleet_maximum=10))
    assert "3 connections" not in (running.admin.trouble(smaller) or "")
    assert running.admin.load() is None
    assert running.admin.trouble(smaller) is None
    assert client.query("SELECT 1") == [["1"]]
    at_once(running, 6, "SELECT SLEEP(0.2)")
    assert running.database.connections <= 3
    running.write()
    assert running.admin.load() is None


def test_what_only_a_restart_changes_is_seen_as_different_after_loading(running: Running) -> None:
    wanted = proxysql_config.wanted(running.values(host_vcpus=4))
    running.write(host_vcpus=4)
    assert running.admin.load() is None
    assert running.admin.trouble(wanted) == "mysql-threads is 2, not 4"
    running.write()
    assert running.admin.load() is None


def test_what_somebody_changed_by_hand_is_seen(running: Running) -> None:
    client = Client(running.admin_port, "admin", SECRETS["admin"])
    client.query("UPDATE mysql_servers SET max_connections = 500")
    client.query("LOAD MYSQL SERVERS TO RUNTIME")
    trouble = running.admin.trouble(proxysql_config.wanted(running.values()))
    assert trouble == f"the servers are 127.0.0.1:{running.database.port} (500 connections)"
    assert running.admin.load() is None


def test_nobody_at_the_admin_port_is_trouble_that_names_it() -> None:
    assert "admin port 1: no answer" in (Admin(1, ["x"]).trouble({}) or "")


def test_the_defaults_with_a_server_are_allowed() -> None:
    assert proxysql_config.findings(values()) == []
    assert proxysql_config.findings(values(servers=[WRITER, READER], split_reads=True)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
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
def test_what_is_not_allowed_is_named(changed: dict[str, Any], said: str) -> None:
    assert [finding for finding in proxysql_config.findings(values(**changed)) if said in finding] != []


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
    ("content", "mode", "said"),
    [
        ('{"admin": "a", "monitor": "m", "users": {}}', 0o644, "only root may read it"),
        ("{", 0o600, "is not of the form"),
        ('{"admin": "a", "users": {}}', 0o600, "is not of the form"),
        ('{"admin": "topsecret:x", "monitor": "m", "users": {}}', 0o600, "has ':' or ';'"),
        ('{"admin": "a", "monitor": "", "users": {}}', 0o600, "is empty"),
        ('{"admin": "a", "monitor": "m", "users": {"shop": "topsecret\\n"}}', 0o600, "control characters"),
        ('{"admin": "a", "monitor": "m", "users": {"other": "topsecret"}}', 0o600, "no password for users.shop"),
    ],
)
def test_credentials_that_can_not_be_used_are_refused_without_showing_them(
    tmp_path: Path, content: str, mode: int, said: str
) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(content)
    file.chmod(mode)
    if os.getuid() != 0:
        pytest.skip("only root owns files as root")
    with pytest.raises(CredentialsError) as error:
        proxysql_admin.fill(proxysql_config.text(values()), proxysql_admin.read_credentials(str(file)), str(file))
    assert said in str(error.value)
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
