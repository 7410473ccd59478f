"""The packet filter: loaded whole, kept only if the world still gets in, restored otherwise."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import NotApplicableError
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.firewall import (
    BEFORE,
    LOADER,
    PARTS,
    TABLE,
    ruleset,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.firewall import RULES as FILTER
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce


class Filter:
    """nft that keeps what it is given."""

    def __init__(self, machine: Machine) -> None:
        self.table = ""
        machine.answers["nft -c -f -"] = (0, "")
        machine.answers["nft list"] = lambda _argv, _stdin: (0, self.table) if self.table else (1, "No such file")
        machine.answers["nft -f"] = lambda argv, _stdin: self.load(
            machine.text(argv[2].removeprefix(str(machine.root)))
        )
        machine.answers["rpm -qa"] = (0, "nftables\n")
        machine.answers["sshd -T"] = (0, "port 2222\n")
        machine.answers["systemctl show"] = (0, f"ExecStart={{ argv[]=/sbin/nft -f {LOADER} ; }}")
        machine.answers["systemctl stop fleet-hardening-undo.timer"] = (0, "")
        machine.answers["systemd-run"] = (0, "")
        machine.answers["/bin/sh -c umask 077 && cat >"] = lambda _argv, text: (0, str(machine.put(BEFORE, text or "")))

    def load(self, text: str) -> tuple[int, str]:
        self.table = text.partition("delete table")[2].partition("\n")[2]
        return 0, ""


@pytest.mark.parametrize("part", PARTS)
def test_the_filter_is_loaded_whole_and_kept(machine: Machine, part: str) -> None:
    Filter(machine)
    enforce(machine.host(in_use={"ports": [80]}), "firewall", {"want": part})
    assert machine.text(FILTER) == ruleset([80, 2222])
    assert machine.text(LOADER) == f'include "{FILTER}"\n'


def test_answers_on_connections_that_are_open_when_it_is_loaded_get_through() -> None:
    """The kernel knows nothing of them yet: an agent that waits for an answer would wait in vain."""
    lines = [line.strip() for line in ruleset([80]).splitlines()]
    assert "ct state new tcp flags & (syn | ack) == ack accept" in lines


def test_sshs_own_port_stays_open_whatever_was_declared(machine: Machine) -> None:
    filter_ = Filter(machine)
    enforce(machine.host(in_use={"ports": [80]}), "firewall", {"want": "ports"})
    assert "tcp dport { 80, 2222 } accept" in filter_.table


def test_the_host_undoes_a_filter_that_nobody_outside_confirms(machine: Machine) -> None:
    """Armed once, however many controls load the table, and before the first of them does."""
    filter_ = Filter(machine)
    host = machine.host(in_use={"ports": [80]})
    for part in ("table", "ports"):
        filter_.table = ""
        host.system.forget("nft")
        enforce(host, "firewall", {"want": part})
    armed = [command for command in machine.asked if command.startswith("systemd-run")]
    assert len(armed) == 1
    assert "--on-active=30" in armed[0]
    assert machine.asked.index(armed[0]) < next(i for i, c in enumerate(machine.asked) if c.startswith("nft -f"))
    assert host.unproven


def test_a_filter_that_the_host_could_not_undo_is_not_loaded(machine: Machine) -> None:
    filter_ = Filter(machine)
    machine.answers["systemd-run"] = (1, "no bus")
    with pytest.raises(HostError, match="refused: a way back could not be prepared: systemd-run: no bus"):
        enforce(machine.host(in_use={"ports": [80]}), "firewall", {"want": "table"})
    assert filter_.table == ""


def test_a_filter_that_cuts_what_the_host_must_reach_is_put_back_at_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    filter_ = Filter(machine)
    filter_.table = "table inet fleet_hardening {\n}\n"
    ways = [{"endpoint ssm.us-east-1.amazonaws.com:443": reached} for reached in (True, False)]
    monkeypatch.setattr(guard, "access_paths", lambda *_host: ways.pop(0))
    host = machine.host(in_use={"ports": [80]})
    control = {"id": "f", "type": "firewall", "state": {"want": "deny"}}
    (result,) = evaluate([control], host, True, {})
    assert "undone, because it would have cut: endpoint ssm.us-east-1.amazonaws.com:443" in result["reason"]
    assert filter_.table == "table inet fleet_hardening {\n}\n"
    assert not host.unproven
    assert not machine.system.exists(FILTER)


def test_an_endpoint_that_answers_is_told_from_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        assert guard.endpoint_answers(endpoint)
    assert not guard.endpoint_answers(endpoint)
    assert not guard.endpoint_answers("no-such-host.invalid:443")


def test_an_endpoint_that_never_answered_is_asked_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(guard, "endpoint_answers", asked.append)
    host = machine.host(in_use={"endpoints": ["vault.internal:8200"]})
    before = guard.access_paths(host)
    guard.access_paths(host, before)
    assert asked == ["vault.internal:8200"]


def test_a_port_that_listens_undeclared_is_not_closed(machine: Machine) -> None:
    filter_ = Filter(machine)
    machine.put("/proc/net/tcp", "sl local\n 0: 00000000:1F90 00000000:0000 0A 0\n")
    with pytest.raises(HostError, match="port 8080 listens and was not declared"):
        enforce(machine.host(in_use={"ports": [80]}), "firewall", {"want": "deny"})
    assert filter_.table == ""


def test_while_sshd_cannot_read_its_configuration_a_port_of_its_own_is_not_closed(machine: Machine) -> None:
    Filter(machine)
    machine.answers["sshd -T"] = (255, "bad permission")
    machine.put("/proc/net/tcp", "sl local\n 0: 00000000:08AE 00000000:0000 0A 0\n")
    with pytest.raises(HostError, match="port 2222 listens"):
        enforce(machine.host(in_use={"ports": [80]}), "firewall", {"want": "deny"})


def test_without_declared_ports_or_with_firewalld_nothing_is_filtered(machine: Machine) -> None:
    Filter(machine)
    cases: list[dict[str, list[Any]]] = [{}, {"ports": [80], "services": ["firewalld"]}]
    for in_use in cases:
        with pytest.raises(NotApplicableError):
            differences(machine.host(in_use=in_use), "firewall", {"want": "deny"})


def test_a_port_more_is_a_difference(machine: Machine) -> None:
    filter_ = Filter(machine)
    filter_.table = ruleset([80, 2222, 9000])
    found = differences(machine.host(in_use={"ports": [80]}), "firewall", {"want": "ports"})
    assert found == [("ports", "yes", "80, 2222, 9000")]
    assert f"table inet {TABLE}" in filter_.table


def test_a_filter_from_before_that_does_not_load_is_named_and_left_to_the_timer(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Filter(machine)
    machine.answers["nft -f " + BEFORE] = (1, "Device or resource busy")
    ways = [{"SSH port 22": works} for works in (True, False)]
    monkeypatch.setattr(guard, "access_paths", lambda *_host: ways.pop(0))
    host = machine.host(in_use={"ports": [80]})
    (result,) = evaluate([{"id": "f", "type": "firewall", "state": {"want": "deny"}}], host, True, {})
    assert "undone in part only (the packet filter from before was not loaded" in result["reason"]
    assert "Device or resource busy" in result["reason"]
    assert not host.unproven, "nobody outside may confirm it"
    assert machine.asked[-1] != "systemctl stop fleet-hardening-undo.timer", "the timer loads it again"
