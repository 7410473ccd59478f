"""What logins leave behind is found wherever homes are and sshd takes keys from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard, logins
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sshd import key_files, keys_of

from tests.support.hardening.machine import Machine

DEPLOY = {"name": "deploy", "uid": "1001", "home": "/srv/deploy"}
ROOT = {"name": "root", "uid": "0", "home": "/"}


@pytest.mark.parametrize(
    ("option", "files"),
    [
        (".ssh/authorized_keys .ssh/authorized_keys2", ["/srv/deploy/.ssh/authorized_keys", "/srv/deploy/.ssh/authorized_keys2"]),
        ("%h/.ssh/authorized_keys", ["/srv/deploy/.ssh/authorized_keys"]),
        ("/etc/ssh/keys/%u", ["/etc/ssh/keys/deploy"]),
        ("/etc/ssh/%U/%%u/%u.pub", ["/etc/ssh/1001/%u/deploy.pub"]),
        ("none", []),
        ("/etc/ssh/keys", ["/etc/ssh/keys"]),
    ],
)  # fmt: skip
def test_the_files_that_sshd_means(option: str, files: list[str]) -> None:
    assert key_files({"authorizedkeysfile": option}, DEPLOY) == files


def test_without_the_option_sshds_own_places_count() -> None:
    assert key_files({}, ROOT) == ["/.ssh/authorized_keys", "/.ssh/authorized_keys2"]


def test_every_home_is_searched_and_its_name_is_no_pattern() -> None:
    accounts = [
        DEPLOY,
        ROOT,
        {**DEPLOY, "home": "/srv/a[b]*"},
        {**DEPLOY, "home": "relative"},
        {**DEPLOY, "home": "/srv/deploy/"},
    ]
    assert logins.in_homes(accounts, [".*_history"]) == [
        "/.*_history", "/srv/a[[]b][*]/.*_history", "/srv/deploy/.*_history",
    ]  # fmt: skip
    names = {account["name"]: account["home"] for account in logins.account_database()}
    assert names["root"] == "/root" and len(names) > 3


def test_a_match_block_for_one_user_counts_for_that_one(machine: Machine) -> None:
    def settings(argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        mine = any(word.startswith("user=deploy,") for word in argv)
        return 0, f"port 22\nauthorizedkeysfile {'/keys/%u[1]' if mine else '.ssh/authorized_keys'}\n"

    machine.answers["sshd -T"] = settings
    assert logins.authorized_keys(machine.host(), [DEPLOY, ROOT]) == ["/.ssh/authorized_keys", "/keys/deploy[[]1]"]
    machine.put("/keys/deploy[1]", "key\n")
    assert keys_of(machine.host(), DEPLOY) == ["/keys/deploy[1]"]


def test_where_sshd_lacks_its_host_keys_it_gets_one(machine: Machine) -> None:
    """As on a host that was cleaned before."""
    machine.answers["sshd -T"] = (1, "sshd: no hostkeys available -- exiting.")
    machine.answers["sshd -T -h"] = (0, "authorizedkeysfile /etc/ssh/keys/%u\n")
    machine.answers["ssh-keygen"] = (0, "")
    assert logins.authorized_keys(machine.host(), [DEPLOY]) == ["/etc/ssh/keys/deploy"]
    key = next(command for command in machine.asked if command.startswith("sshd -T -h")).split()[3]
    assert not Path(key).parent.exists()


def test_where_sshd_does_not_say_nothing_is_guessed(machine: Machine) -> None:
    machine.answers["sshd -T"] = (255, "Bad configuration option: Foo")
    machine.answers["ssh-keygen"] = (0, "")
    with pytest.raises(HostError, match="Bad configuration option"):
        logins.authorized_keys(machine.host(), [DEPLOY])
    assert keys_of(machine.host(), DEPLOY) == []
    del machine.answers["sshd -T"]
    other = Machine(machine.root)
    other.answers["rpm -qa"] = (0, "bash\n")
    assert logins.authorized_keys(other.host(), [DEPLOY]) == key_files({}, DEPLOY)


def test_a_user_with_keys_in_another_place_is_let_in_and_a_second_file_counts(machine: Machine) -> None:
    machine.put("/etc/passwd", "ec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n")
    machine.put("/home/ec2-user/.ssh/authorized_keys", "ssh-ed25519 AAAA a\n")
    machine.put("/etc/ssh/keys/ec2-user", "ssh-ed25519 AAAA b\n")
    machine.answers["sshd -T"] = (0, "strictmodes no\nauthorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u\n")
    machine.answers["runuser"] = (1, "")
    machine.answers["runuser -u ec2-user -- test -r /etc/ssh/keys/ec2-user"] = (0, "")
    assert guard.key_files_taken(machine.host(), "ec2-user")


@pytest.mark.parametrize(
    ("names", "by_ssh"),
    [
        (["sh", "sudo", "sshd"], True),
        (["sshd-session", "sshd"], True),
        (["a) b (c", "sshd"], True),
        (["sh", "amazon-ssm-agent"], False),
        (["sh", "session (sshd) of"], False),
        ([], False),
    ],
)
def test_a_session_of_sshd_is_known_by_the_processes_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], by_ssh: bool
) -> None:
    for number, name in enumerate(names):
        parent = 100 + number + 1 if number + 1 < len(names) else 1
        (tmp_path / str(100 + number)).mkdir()
        (tmp_path / str(100 + number) / "stat").write_text(f"{100 + number} ({name}) S {parent} 1 1 0\n")
    monkeypatch.setattr(os, "getppid", lambda: 100)
    assert logins.came_by_ssh(str(tmp_path)) == by_ssh
