"""Every way to lock oneself out that the engine has: it is tried for real, seen to be undone, and the way in still works."""

from __future__ import annotations

import pytest
import yaml
from fleet import HOSTS, fresh_login, harden, machine

LOCKOUTS = {
    "lockout-by-refused-keys": ("sshd", {"option": "PubkeyAuthentication", "value": "no"}, "SSH session of ec2-user"),
    "lockout-by-nonsense": ("sshd", {"option": "MaxSessions", "value": "many"}, "sshd -t"),
    "lockout-by-sudo-rule": ("sudo_rule", {"absent": "^ec2-user ALL"}, "sudo of ec2-user"),
    "lockout-by-pam": (
        "pam",
        {"service": ["password-auth", "system-auth"], "type": "account", "module": "pam_deny.so", "add": "pam_unix"},
        "SSH session of ec2-user",
    ),
    "lockout-by-old-password": (
        "password_aging", {"field": "maximum_days", "days": 300, "at_most": True}, "ec2-user",
    ),
}  # fmt: skip
FILES = "/etc/ssh/sshd_config /etc/ssh/sshd_config.d/* /etc/sudoers /etc/sudoers.d/* /etc/pam.d/* /etc/shadow"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """(results, checksums before and after by host) of one run with all of them in the register."""
    directory = tmp_path_factory.mktemp("register")
    controls = [
        {"id": name, "title": name, "level": 1, "severity": "low", "rationale": "A test.", "type": kind, "state": state}
        for name, (kind, state, _lost) in LOCKOUTS.items()
    ]
    (directory / "lockouts.yml").write_text(yaml.safe_dump(controls))
    for host in HOSTS:
        machine(host).check_output(
            "usermod -p '$6$a$b' ec2-user && chage -M 400 -d $(date -d '-350 days' +%F) ec2-user"
        )
    before = {host: machine(host).check_output(f"sha256sum $(ls -d {FILES} 2>/dev/null)") for host in HOSTS}
    exceptions = [
        {"control": "password-expires-users", "reason": "A test", "owner": "tests", "expires": "2999-01-01"},
        {"control": "password-inactive-users", "reason": "A test", "owner": "tests", "expires": "2999-01-01"},
    ]
    done, reports = harden(hardening_register_directories=[str(directory)], hardening_exceptions=exceptions)
    after = {host: machine(host).check_output(f"sha256sum $(ls -d {FILES} 2>/dev/null)") for host in HOSTS}
    for host in HOSTS:
        machine(host).check_output("passwd -l ec2-user >/dev/null; chage -M 365 -d $(date +%F) -I 30 ec2-user")
    return done, reports, before, after


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", LOCKOUTS)
def test_the_change_is_undone_and_the_reason_told(outcome, host, name):
    result = outcome[1][host][name]
    assert result["status"] == "fail", result
    assert "undone, because" in result["reason"]
    assert LOCKOUTS[name][2] in result["reason"]


def test_the_run_fails_and_names_them(outcome):
    assert outcome[0].returncode != 0
    for name in LOCKOUTS:
        assert name in outcome[0].stdout


@pytest.mark.parametrize("host", HOSTS)
def test_every_file_is_as_it_was(outcome, host):
    assert outcome[3][host] == outcome[2][host]


@pytest.mark.parametrize("host", HOSTS)
def test_a_new_session_opens_and_sudo_works(outcome, host):
    assert fresh_login(host, "sudo -n id -u").stdout.strip() == "0"
