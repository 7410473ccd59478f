"""Who is root by sudo at level 2: Session Manager's user and those in use as before; of others only their part of a rule changes."""

from __future__ import annotations

import pytest
from fleet import HOSTS, harden, machine

SETUP = r"""
set -e
useradd -m -s /bin/bash ssm-user; useradd -m -s /bin/bash colleague
printf '# User rules for ssm-user\nssm-user ALL=(ALL) NOPASSWD:ALL\n' >/etc/sudoers.d/ssm-agent-users
cat >/etc/sudoers.d/20-team <<'RULES'
ec2-user, colleague ALL=(ALL) \
  NOPASSWD: ALL # both
Defaults:colleague !lecture, !authenticate, \
  !mail_badpass
RULES
chmod 0440 /etc/sudoers.d/ssm-agent-users /etc/sudoers.d/20-team
visudo -c
"""
CLEANUP = "rm -f /etc/sudoers.d/ssm-agent-users /etc/sudoers.d/20-team; userdel -r ssm-user; userdel -r colleague; true"


@pytest.fixture(scope="module")
def reports():
    """Results by host of a run that finds the rules."""
    try:
        for host in HOSTS:
            machine(host).check_output(SETUP)
        _done, reports = harden()
        yield reports
    finally:
        for host in HOSTS:
            machine(host).check_output(CLEANUP)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("control", ["sudo-password", "sudo-asks"])
def test_the_controls_change_the_rules(reports, host, control):
    assert reports[host][control]["status"] == "changed", reports[host][control]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("user", "asked"), [("ssm-user", False), ("ec2-user", False), ("colleague", True)])
@pytest.mark.usefixtures("reports")
def test_those_who_log_in_by_key_stay_root_and_others_are_asked(host, user, asked):
    done = machine(host).run(f"runuser -u {user} -- sudo -n id -u")
    assert "a password is required" in done.stderr if asked else done.stdout.strip() == "0"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.usefixtures("reports")
def test_only_the_offending_part_has_changed(host):
    assert machine(host).file("/etc/sudoers.d/20-team").content_string == (
        "ec2-user ALL=(ALL) \\\n  NOPASSWD: ALL\ncolleague ALL=(ALL) \\\n  PASSWD: ALL # both\n"
        "Defaults:colleague !lecture, \\\n  !mail_badpass\n"
    )
    assert machine(host).run("visudo -c").rc == 0
