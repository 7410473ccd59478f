"""The first release, with the role's default values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fleet_units import is_amazon_linux_2

PORTS = (3000, 3001)


def version(host: Any, port: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.check_output(f"curl -s http://127.0.0.1:{port}/version"))
    return found


@pytest.mark.parametrize("port", PORTS)
def test_each_port_serves_the_release_from_a_process_of_its_own(host: Any, port: int) -> None:
    assert version(host, port)["version"] == "1.0.0"
    assert version(host, PORTS[0])["pid"] != version(host, PORTS[1])["pid"]


@pytest.mark.parametrize("port", PORTS)
def test_instances_start_at_boot(host: Any, port: int) -> None:
    assert host.service(f"app@{port}").is_enabled


def test_it_does_not_listen_to_others(host: Any) -> None:
    assert not host.socket("tcp://0.0.0.0:3000").is_listening
    assert host.socket("tcp://127.0.0.1:3000").is_listening


def test_it_runs_on_the_systems_package_or_on_what_it_brings_where_there_is_none(host: Any) -> None:
    pid = version(host, 3000)["pid"]
    program = host.check_output(f"readlink /proc/{pid}/exe")
    words = host.check_output(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
    runtimes = host.run("ls -A /opt/app/runtimes").stdout.split()
    if is_amazon_linux_2(host):
        assert [program] == [f"/opt/app/runtimes/{name}/bin/node" for name in runtimes]
    else:
        assert (program, runtimes) == ("/usr/bin/node-24", [])
        assert host.check_output("readlink --canonicalize /usr/bin/node") == program
    assert words.strip() == f"{program} server.js"


def test_the_process_is_nobody_who_may_write_the_release(host: Any) -> None:
    pid = version(host, 3000)["pid"]
    assert host.check_output(f"ps -o user= -p {pid}") == "app"
    assert host.run("sudo -u app test -w /opt/app/current/server.js").rc != 0


def test_the_process_can_gain_no_rights(host: Any) -> None:
    status = host.check_output(f"cat /proc/{version(host, 3000)['pid']}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["CapBnd"], 16) == 0


def test_it_says_what_it_does_in_its_log(host: Any) -> None:
    lines = [json.loads(line) for line in host.check_output("cat /var/log/app/3000.log").splitlines()]
    assert lines[-1]["event"] == "listening"
    assert lines[-1]["version"] == "1.0.0"


def test_no_signed_address_was_left_on_the_host(host: Any) -> None:
    # Written so that sudo's own log line about this search is not found.
    assert host.run("grep -rlaE 'X-Amz-Sig[n]ature' /etc /opt /var/log").stdout == ""
