"""A packet filter through which nobody gets in any more: the host takes it back by itself, and the run says so."""

from __future__ import annotations

import pytest
from fleet import HOSTS, fresh_login, harden, machine, on_machines

LOADED = "nft list table inet fleet_hardening 2>/dev/null | grep -q dport"
UNBLOCK = f"until {LOADED}; do sleep 0.2; done; while {LOADED}; do sleep 0.2; done"
BLOCK = (
    "nft delete table inet fleet_hardening; nft add table ip h; nft add chain ip h c '{ type filter hook input priority 10; }'; "
    "nft add rule ip h c iif != lo tcp dport 22 ct state new drop; "
    f"systemd-run sh -c 'timeout 150 sh -c \"{UNBLOCK}\"; nft delete table ip h'"
)
"""From now on the connection that Ansible has open is the only one; others get in once the filter was loaded and is gone again."""


@pytest.fixture(scope="module")
def outcome():
    """(how the run ended, results by host and control) while no new connection gets in, and what was loaded after it."""
    on_machines("all", "ping", "")
    on_machines("all", "shell", BLOCK)
    done, reports = harden()
    loaded = {host: machine(host).check_output("nft list table inet fleet_hardening 2>&1 || true") for host in HOSTS}
    stored = {host: machine(host).check_output("cat /etc/nftables/fleet-hardening.nft") for host in HOSTS}
    yield done, reports, loaded, stored
    harden()


@pytest.mark.parametrize("host", HOSTS)
def test_the_filter_is_taken_back_now_and_at_the_next_boot(outcome, host):
    assert "tcp dport" not in outcome[2][host]
    assert "tcp dport" not in outcome[3][host]


@pytest.mark.parametrize("host", HOSTS)
def test_the_run_fails_and_says_why(outcome, host):
    assert outcome[0].returncode != 0
    result = outcome[1][host]["firewall-deny"]
    assert result["status"] == "fail"
    assert "because no new connection" in result["reason"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_new_session_opens_again(outcome, host):
    assert fresh_login(host, "true").returncode == 0
