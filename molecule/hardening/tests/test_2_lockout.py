"""Every way to lock oneself out that the engine has: it is tried for real, seen to be undone, and the access path still works.

Of PAM, the stacks that a login by key goes through: it asks no password, and so no auth stack.
"""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from fleet import HOSTS, fresh_login, harden, machine

CONNECT = "EC2 Instance Connect of ec2-user"
SESSION, KEY, SUDO = "SSH session of ec2-user", "key of ec2-user", "sudo of ec2-user"
REFUSED = "refused: "
HOME = "/home/ec2-user"
STACKS = ["password-auth", "system-auth"]
DENIED = {"service": STACKS, "module": "pam_deny.so", "add": "pam_unix"}
LOCKOUTS = {
    # sshd
    "lockout-by-refused-keys": ("sshd", {"option": "PubkeyAuthentication", "value": "no"}, SESSION),
    "lockout-by-nonsense": ("sshd", {"option": "MaxSessions", "value": "many"}, "sshd -t"),
    "lockout-by-other-port": ("sshd", {"option": "Port", "value": "2222"}, "SSH port 22"),
    "lockout-by-loopback": ("sshd", {"option": "ListenAddress", "value": "127.0.0.1"}, "SSH on 0.0.0.0:22"),
    "lockout-by-list-of-users": ("sshd", {"option": "AllowUsers", "value": "nobody", "silent": True}, SESSION),
    "lockout-by-other-key-file": ("sshd", {"option": "AuthorizedKeysFile", "value": "/etc/ssh/keys/%u"}, KEY),
    "lockout-by-no-key-command": ("sshd", {"option": "AuthorizedKeysCommand", "value": "none"}, CONNECT),
    "lockout-by-other-key-command": ("sshd", {"option": "AuthorizedKeysCommand", "value": "/usr/bin/true"}, CONNECT),
    # sudo
    "lockout-by-sudo-rule": ("sudo_rule", {"tag": "NOPASSWD"}, SUDO),
    "lockout-by-sudo-terminal": ("sudo_default", {"option": "requiretty", "value": True}, SUDO),
    # PAM
    "lockout-by-pam-account": ("pam", {**DENIED, "type": "account"}, SESSION),
    "lockout-by-pam-session": ("pam", {**DENIED, "type": "session"}, SESSION),
    # accounts
    "lockout-by-old-password": ("password_aging", {"field": "maximum_days", "days": 300, "at_most": True}, "ec2-user"),
    # files that those programs read
    "lockout-by-shell": ("lines", {"path": "/etc/passwd", "replace": [
        {"pattern": "^ec2-user:.*bash$", "line": f"ec2-user:x:1000:1000::{HOME}:/sbin/nologin"},
    ]}, SESSION),
    "lockout-by-expired-account": ("lines", {"path": "/etc/shadow", "replace": [
        {"pattern": "^ec2-user:.*[^1]:$", "line": "ec2-user:!:20000:0:99999:7::1:"},
    ]}, SESSION),
    "lockout-by-lost-keys": ("file", {"path": f"{HOME}/.ssh/authorized_keys", "absent": True}, KEY),
    "lockout-by-unreadable-keys": ("file", {"path": f"{HOME}/.ssh/authorized_keys", "owner": "root", "mode": "0600"}, KEY),
    "lockout-by-home-of-another": ("file", {"path": HOME, "owner": "nobody"}, KEY),
    "lockout-by-nologin": ("file", {"path": "/etc/nologin", "content": "closed\n"}, SESSION),
    "lockout-by-setting": ("setting", {
        "files": ["/etc/ssh/sshd_config"], "key": "DenyUsers", "value": "ec2-user", "separator": " ",
    }, SESSION),
    # what no file brings back
    "lockout-by-stopped-daemon": ("service", {"name": "sshd", "enabled": False, "running": False}, REFUSED),
    "lockout-by-removed-daemon": ("package", {"name": "openssh-server", "state": "absent"}, REFUSED),
}  # fmt: skip
"""Id → type, state, what must be named as lost."""
NOT_TRIED = {
    "firewall": "test_2_lockout_firewall.py",
    "account_list": "locks empty passwords and takes permissions away, which no login by key needs",
    "system_account": "of programs, less those declared in use",
    "empty_group": "a group for su, which no login by key and no sudo asks",
    "sshd_users": "sets the list to whoever logs in today; a wrong list is tried with sshd's own option",
}
"""Types that the guard watches without a lock-out of their own here, and why."""
FILES = (
    "/etc/ssh/sshd_config /etc/ssh/sshd_config.d/* /etc/sudoers /etc/sudoers.d/* /etc/pam.d/* /etc/shadow /etc/passwd "
    f"{HOME}/.ssh/authorized_keys"
)
STATE = (
    f"sha256sum $(ls -d {FILES} 2>/dev/null); stat -c '%n %a %U %G' {HOME} {HOME}/.ssh {HOME}/.ssh/authorized_keys; ls /etc/nologin 2>&1; "
    "sshd -T | grep -E '^(port|listenaddress) '; ss -Hltn sport = :22 | wc -l; systemctl is-active sshd"
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """(results, state of the files before and after by host) of one run with all of them in the register."""
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
    before = {host: machine(host).check_output(STATE) for host in HOSTS}
    exceptions = [
        {"control": "password-expires-users", "reason": "A test", "owner": "tests", "expires": "2999-01-01"},
        {"control": "password-inactive-users", "reason": "A test", "owner": "tests", "expires": "2999-01-01"},
    ]
    done, reports = harden(hardening_register_directories=[str(directory)], hardening_exceptions=exceptions)
    after = {host: machine(host).check_output(STATE) for host in HOSTS}
    for host in HOSTS:
        machine(host).check_output("passwd -l ec2-user >/dev/null; chage -M 365 -d $(date +%F) -I 30 ec2-user")
    return done, reports, before, after


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", LOCKOUTS)
def test_the_change_is_undone_and_the_reason_told(outcome, host, name):
    result = outcome[1][host][name]
    assert result["status"] == "fail", result
    assert LOCKOUTS[name][2] in result["reason"]
    assert "undone, because" in result["reason"] or LOCKOUTS[name][2] == REFUSED


def test_every_type_that_the_guard_watches_is_tried():
    assert {kind for kind, resource in TYPES.items() if resource.guard} - {
        kind for kind, _s, _l in LOCKOUTS.values()
    } == set(NOT_TRIED)


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
