"""Codes no longer required; bob no longer on the list."""

from __future__ import annotations

from people import login


def test_the_key_alone_opens_a_session(host):
    assert login(host, "alice", "sudo -n id -u").stdout.strip() == "0"


def test_who_is_no_longer_on_the_list_is_refused(host):
    assert login(host, "bob").returncode == 255
    assert not host.file("/home/bob/.ssh/authorized_keys").exists
    assert "bob" not in host.file("/etc/users.oath").content_string


def test_sshd_and_pam_are_as_before(host):
    assert "pam_oath" not in host.file("/etc/pam.d/sshd").content_string
    assert "authenticationmethods any" in host.check_output("sshd -T -C user=alice,host=h,addr=10.0.0.1")
