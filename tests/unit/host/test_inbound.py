"""Which ports answer to another network: tried from one that is made for this and always taken away again."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources import firewall
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard, inbound

from tests.support.hardening.machine import Machine

LISTENING = "sl local\n 0: 00000000:0050 00000000:0000 0A 0\n 1: 00000000:0016 00000000:0000 0A 0\n"
MADE = ["netns add", "link add", "addr add", "link set", "-n fleet-proof addr add", "-n fleet-proof link set"]
AWAY = ["ip link delete fleet-proof0", "ip netns delete fleet-proof"]


@pytest.fixture
def network(machine: Machine) -> Machine:
    machine.answers["ip "] = (0, "")
    machine.answers["nsenter --net=/run/netns/fleet-proof bash -c"] = (0, "22\n80\n")
    return machine


def test_what_answers_is_told_from_what_does_not(network: Machine) -> None:
    assert inbound.paths(network.host(), [22, 80, 443]) == {
        "port 22 from another network": True, "port 80 from another network": True, "port 443 from another network": False,
    }  # fmt: skip
    assert network.asked[-2:] == AWAY


@pytest.mark.parametrize("step", MADE)
def test_where_no_network_can_be_made_nothing_is_known_and_nothing_stays(network: Machine, step: str) -> None:
    network.answers[f"ip {step}"] = (2, "Operation not permitted")
    assert inbound.paths(network.host(), [22]) is None
    assert network.asked[-2:] == AWAY
    assert not [command for command in network.asked if command.startswith("nsenter")]


def test_without_ip_or_nsenter_nothing_is_known(machine: Machine) -> None:
    assert inbound.paths(machine.host(), [22]) is None
    machine.answers["ip "] = (0, "")
    assert inbound.paths(machine.host(), [22]) is None


def enforced(machine: Machine, monkeypatch: pytest.MonkeyPatch, answers: list[str]) -> str:
    """How a control of the packet filter ends; `answers`: the ports that answer before and after it is loaded."""
    table: list[str] = []

    def load(argv: list[str], _stdin: str | None) -> tuple[int, str]:
        table.append("" if argv[2] == firewall.BEFORE else firewall.ruleset([22, 80]))
        return 0, ""

    machine.put("/proc/net/tcp", LISTENING)
    machine.put("/etc/sysconfig/nftables.conf", "")
    machine.answers["nft -c -f -"] = (0, "")
    machine.answers["nft list"] = lambda _argv, _stdin: (
        (0, table[-1]) if table and table[-1] else (1, "Error: No such file or directory")
    )
    machine.answers["nft -f"] = load
    machine.answers["rpm -qa"] = (0, "nftables\n")
    machine.answers["sshd -T"] = (0, "port 22\n")
    machine.answers["systemctl"] = machine.answers["systemd-run"] = machine.answers["/bin/sh"] = (0, "")
    machine.answers["nsenter"] = lambda _argv, _stdin: (0, answers.pop(0))
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {"Session Manager": True})
    control = {"id": "f", "type": "firewall", "state": {"want": "deny"}}
    (result,) = evaluate([control], machine.host(in_use={"ports": [22, 80]}), True, {})
    return f"{result['status']} {result['reason']}"


def test_a_filter_that_shuts_the_world_out_is_undone_though_the_agent_still_gets_out(
    network: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    del network.answers["nsenter --net=/run/netns/fleet-proof bash -c"]
    ended = enforced(network, monkeypatch, ["22 80", "22"])
    assert ended.startswith("fail ")
    assert "undone, because it would have cut: port 80 from another network" in ended


@pytest.mark.parametrize("answers", [["22 80", "22 80"], ["22", "22"], ["", "22"]])
def test_what_did_not_answer_before_is_no_reason_to_undo_it(
    network: Machine, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    del network.answers["nsenter --net=/run/netns/fleet-proof bash -c"]
    assert enforced(network, monkeypatch, answers) == "changed "
