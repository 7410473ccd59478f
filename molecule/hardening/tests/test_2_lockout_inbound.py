"""A packet filter under which one port no longer answers to others: the host itself notices, whatever connection Ansible came by."""

from __future__ import annotations

import pytest
from fleet import HOSTS, harden, machine, on_machines

LOADED = "nft list table inet fleet_hardening 2>/dev/null | grep -q dport"
SHUT = 'table ip h { chain c { type filter hook input priority 10; iif != "lo" tcp dport 22 ct state new drop; }; }'
LOOP = f"while :; do until {LOADED}; do :; done; nft -f /root/shut.nft; while {LOADED}; do sleep 0.05; done; nft delete table ip h; done"
BEGIN = (
    f"nft delete table inet fleet_hardening; printf '%s' '{SHUT}' >/root/shut.nft; "
    f"systemd-run --unit=h-shut timeout 200 sh -c '{LOOP}'"
)
END = "systemctl stop h-shut; nft delete table ip h; rm -f /root/shut.nft; true"


@pytest.fixture(scope="module")
def outcome():
    """(how the run ended, results by host and control, what was loaded after it, networks that are left)."""
    on_machines("all", "shell", BEGIN)
    done, reports = harden()
    loaded = {host: machine(host).check_output("nft list tables") for host in HOSTS}
    left = {
        host: machine(host).check_output("ip netns list; ip -o link show type veth | grep fleet || true")
        for host in HOSTS
    }
    on_machines("all", "shell", END)
    yield done, reports, loaded, left
    harden()


@pytest.mark.parametrize("host", HOSTS)
def test_the_filter_is_undone_and_the_port_is_named(outcome, host):
    assert outcome[0].returncode != 0
    result = outcome[1][host]["firewall-deny"]
    assert result["status"] == "fail"
    assert "it would have cut: port 22 from another network" in result["reason"]
    assert "fleet_hardening" not in outcome[2][host]


@pytest.mark.parametrize("host", HOSTS)
def test_the_network_of_the_proof_is_gone(outcome, host):
    assert outcome[3][host].strip() == ""
