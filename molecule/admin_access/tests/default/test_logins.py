"""Who gets in, and with what. In this order: a code counts once, so the tests share alice's and bob's."""

from __future__ import annotations

import os

import pytest
from fleet_testing import login_by_pushed_key
from people import SCENARIO, SECRETS, ansible, code, login, look

HEXADECIMAL = "3132333435363738393031323334353637383930"


def test_the_key_alone_does_not_open_a_session(host):
    refused = login(host, "alice")
    assert refused.returncode == 255
    assert "Permission denied (keyboard-interactive)" in refused.stderr


def test_a_wrong_code_is_refused(host):
    wrong = f"{(int(code('alice')) + 500000) % 1000000:06d}"
    assert login(host, "alice", answer=wrong).returncode == 255


def test_key_and_code_open_a_session_and_sudo_makes_root(host):
    opened = login(host, "alice", "sudo -n id -u", answer=code("alice"))
    assert opened.stdout.strip() == "0", opened.stderr


def test_a_code_counts_once_also_after_another_run_which_changes_nothing(host):
    """pam_oath notes the used code in the file that the role manages."""
    name, used = host.backend.get_hostname(), code("bob", 1)
    assert login(host, "bob", answer=used).returncode == 0
    done = ansible("ansible-playbook", str(SCENARIO / "converge.yml"), "--limit", name, "--diff", "-vvv")
    assert "changed=0" in done.stdout, done.stdout
    assert [secret for secret in (*SECRETS.values(), HEXADECIMAL) if secret in done.stdout + done.stderr] == []
    assert login(host, "bob", answer=used).returncode == 255


def test_without_sudo_nobody_becomes_root(host):
    assert host.run("sudo -u bob sudo -n true").rc != 0


def test_the_exempt_user_gets_in_by_the_key_and_never_by_a_code(host):
    assert login(host, "ec2-user", key=os.environ["LAB_SSH_KEY"]).returncode == 0
    refused = login(host, "ec2-user", answer=code("alice"))
    assert "Permission denied (publickey)" in refused.stderr


def test_a_key_that_instance_connect_pushed_lets_the_exempt_user_in_and_others_only_with_a_code(host, tmp_path):
    assert login_by_pushed_key(host, tmp_path).returncode == 0
    (tmp_path / "alice").mkdir()
    refused = login_by_pushed_key(host, tmp_path / "alice", "alice")
    assert "Permission denied (keyboard-interactive)" in refused.stderr


def test_who_left_is_refused_and_their_session_has_ended(host):
    assert login(host, "dave", answer="").returncode == 255
    assert host.run("pgrep -u dave").rc == 1
    assert host.file("/home/dave").is_directory


def test_nobody_has_a_password(host):
    fields = {line.split(":")[0]: line.split(":")[1] for line in host.file("/etc/shadow").content_string.splitlines()}
    assert {name: fields[name] for name in ("alice", "bob", "dave") if fields[name][0] != "!"} == {}
    assert "carol" not in fields


def test_an_expiry_date_closes_the_account_by_itself(host):
    host.check_output("chage -E $(( $(date +%s) / 86400 )) alice")
    try:
        assert login(host, "alice", answer=code("alice", 1)).returncode == 255
        assert "account alice has expired" in host.check_output("journalctl -t sshd --since -1min -o cat")
    finally:
        host.check_output("chage -E $(( $(date -d 2999-12-31 +%s) / 86400 + 1 )) alice")


def test_no_secret_is_shown_or_logged(host):
    """A new secret for bob, with everything that Ansible says at its most talkative."""
    secret = "KRUGS4ZANFZSA3TPOQQGCIDTMVRXEZLU"  # noqa: S105 - nobody's
    users = [{"name": "alice", "totp_secret": SECRETS["alice"]}, {"name": "bob", "totp_secret": secret}]
    answer = look(host, users=users)
    assert "/etc/users.oath" in answer.stdout, answer.stdout + answer.stderr
    logged = host.check_output("journalctl --no-pager -o cat")
    for text in (answer.stdout, answer.stderr, logged):
        assert [s for s in (secret, SECRETS["alice"], HEXADECIMAL) if s in text] == []


@pytest.mark.parametrize("path", ["/etc/users.oath", "/etc/sudoers.d/fleet_admin_access"])
def test_others_can_not_read_it(host, path):
    assert host.file(path).mode & 0o037 == 0
