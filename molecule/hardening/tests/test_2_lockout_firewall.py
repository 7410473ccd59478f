"""A packet filter through which nobody gets in any more: the host takes it back by itself, and the run says so."""

from __future__ import annotations

import time

import pytest
from fleet import HOSTS, fresh_login, harden, machine, on_machines

BLOCKED_SECONDS = 90
"""Longer than the run takes to load the filter and the host to take it back, on a busy machine too."""
BLOCK = (
    "nft delete table inet fleet_hardening; nft add table ip h; nft add chain ip h c '{ type filter hook input priority 10; }'; "
    "nft add rule ip h c iif != lo tcp dport 22 ct state new drop; "
    f"systemd-run --on-active={BLOCKED_SECONDS} --timer-property=AccuracySec=1s nft delete table ip h"
)
"""From now on the connection that Ansible has open is the only one; what lets others in again is the host's own timer."""


def opens_again() -> None:
    """Wait until the block has ended: the run may give up before."""
    deadline = time.monotonic() + BLOCKED_SECONDS
    while any(fresh_login(host, "true", "ConnectTimeout=5").returncode for host in HOSTS):
        assert time.monotonic() < deadline, "nobody gets in any more"


@pytest.fixture(scope="module")
def outcome():
    """(how the run ended, results by host and control) while no new connection gets in, and what was loaded after it."""
    on_machines("all", "ping", "")
    on_machines("all", "shell", BLOCK)
    done, reports = harden()
    opens_again()
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
