"""Session Manager as the only access path: while its agent runs, sshd may be changed; where nothing is left, nothing is."""

from __future__ import annotations

import pytest
from fleet import HOSTS, fresh_login, harden, on_machines

BREAK = (
    "f=/etc/ssh/sshd_config; d=/etc/ssh/sshd_config.d/00-fleet-hardening.conf; [ -e $d ] && f=$d; "
    "sed -i 's/^X11Forwarding no/X11Forwarding yes/' $f"
)
BOTH = "sshd amazon-ssm-agent"
STOP = f"systemctl stop sshd && systemd-run --unit=h-back --on-active=180 systemctl start {BOTH} && {BREAK}"
"""Ansible's own connection stays; should it be lost, the host's timer lets others in again."""


@pytest.fixture(scope="module")
def outcome():
    """Results by host and control without sshd, and without the agent either."""
    on_machines("all", "ping", "")
    on_machines("all", "shell", STOP)
    try:
        _done, with_agent = harden()
        on_machines("all", "shell", f"systemctl stop amazon-ssm-agent && {BREAK}")
        _done, with_nothing = harden()
    finally:
        on_machines("all", "shell", f"systemctl stop h-back.timer; systemctl start {BOTH}")
    yield with_agent, with_nothing
    harden()


@pytest.mark.parametrize("host", HOSTS)
def test_sshd_is_changed_while_the_agent_runs(outcome, host):
    assert outcome[0][host]["ssh-no-x11"]["status"] == "changed", outcome[0][host]["ssh-no-x11"]


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_is_changed_where_nothing_is_left(outcome, host):
    result = outcome[1][host]["ssh-no-x11"]
    assert result["status"] == "fail"
    assert "refused: no SSH daemon answers and Session Manager's agent does not run" in result["reason"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_new_session_opens_again(outcome, host):
    assert fresh_login(host, "true").returncode == 0
