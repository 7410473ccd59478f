"""ProxySQL as the role configures it, before a database that counts its connections."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from fleet_testing import address
from fleet_units import shown

PORT, ADMIN_PORT, POOL = 6033, 6032, 5
MARKS = ("4kTw", "8pQv", "2mZr")
"""In the passwords of vars.yml."""


def ask(host: Any, statement: str, count: int = 1, port: int = PORT) -> Any:
    """What `count` clients at once got: answers, and messages of errors."""
    return json.loads(host.check_output(f"python3 /usr/local/bin/clients.py {port} {count} '{statement}'"))


def test_many_clients_at_once_never_pass_the_pool(host: Any) -> None:
    """Eight more than the pool wait their turn; all get their answer."""
    got = ask(host, "SELECT SLEEP(0.2)", POOL + 8)
    assert got == {"answers": ["0"] * (POOL + 8), "failed": []}
    assert ask(host, "SELECT @@peak")["answers"] == [str(POOL)]


def test_it_runs_from_the_start_and_again_after_a_crash(host: Any) -> None:
    unit = shown(host, "proxysql", "ActiveState", "UnitFileState", "Restart", "User")
    assert unit == {"ActiveState": "active", "UnitFileState": "enabled", "Restart": "on-failure", "User": "proxysql"}


@pytest.mark.parametrize("port", [PORT, ADMIN_PORT])
def test_nobody_outside_the_host_reaches_it(host: Any, port: int) -> None:
    listens = [line.split()[3] for line in host.check_output("ss -Hltn").splitlines()]
    assert [place for place in listens if place.endswith(f":{port}")] == [f"127.0.0.1:{port}"]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address(host), port), 5)


def test_the_password_that_it_comes_with_opens_nothing(host: Any) -> None:
    program = (
        "import socket, sys; sys.path.insert(0, '/usr/local/bin'); from proxysql_standin import protocol; "
        f"protocol.log_in(socket.create_connection(('127.0.0.1', {ADMIN_PORT})), 'admin', 'admin')"
    )
    done = host.run(f'python3 -c "{program}"')
    assert done.rc != 0
    assert "Access denied for user 'admin'" in done.stderr


@pytest.mark.parametrize("mark", MARKS)
def test_passwords_are_where_only_root_and_proxysql_read_them(host: Any, mark: str) -> None:
    """The mark reaches grep through a file, or grep would find itself among the processes."""
    host.run_expect([0], f"printf {mark[:2]}%s {mark[2:]} > /root/mark")
    assert host.run("cat /proc/[0-9]*/cmdline | grep -acf /root/mark").stdout.strip() == "0"
    folders = "/etc /run /tmp /var/lib /var/log /var/tmp /home"
    found = host.run(f"grep -rlaFf /root/mark {folders}").stdout.split()
    assert sorted(found) == ["/etc/fleet/secrets/proxysql.json", "/etc/proxysql.cnf"]
    assert host.check_output("stat -c '%a %U' /etc/fleet/secrets/proxysql.json") == "600 root"
    assert host.check_output("stat -c '%a %U %G' /etc/proxysql.cnf") == "640 root proxysql"
