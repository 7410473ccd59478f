"""The guard's own eyes: what it takes for a way in, and what it says before anything is changed."""

from __future__ import annotations

import os

import pytest

from plugins.module_utils.hardening import guard
from plugins.module_utils.hardening.engine import evaluate

from .conftest import Machine

PERSON = "ec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n"
KEYS = "/home/ec2-user/.ssh/authorized_keys"
WORKING = {"SSH port 22": True, "SSH session of ec2-user": True, "key of ec2-user": True, "Session Manager": False}


@pytest.fixture
def person(machine: Machine) -> Machine:
    """A machine with ec2-user's key. Files are root's: sshd takes those as well."""
    machine.put("/etc/passwd", PERSON)
    machine.put(KEYS, "ssh-ed25519 AAAA me\n", 0o600)
    for folder in ("home", "home/ec2-user", "home/ec2-user/.ssh"):
        (machine.root / folder).chmod(0o755)
    machine.answers["sshd -T"] = (0, "port 22\nstrictmodes yes\nauthorizedkeysfile .ssh/authorized_keys\n")
    machine.answers["runuser"] = (0, "")
    return machine


def test_a_key_that_sshd_reads_and_trusts_is_a_way_in(person: Machine) -> None:
    assert guard.has_key(person.host(), "ec2-user")


@pytest.mark.parametrize("path", ["/home/ec2-user", "/home/ec2-user/.ssh", KEYS])
@pytest.mark.parametrize("change", ["mode", "owner"])
def test_a_key_that_others_could_replace_is_none(person: Machine, path: str, change: str) -> None:
    real = person.root / path.lstrip("/")
    if change == "mode":
        real.chmod(0o770)
    else:
        os.chown(real, 4242, 4242)
    assert not guard.has_key(person.host(), "ec2-user")
    guard.forget_sshd(person.host())
    person.answers["sshd -T"] = (0, "strictmodes no\n")
    assert guard.has_key(person.host(), "ec2-user"), "without StrictModes sshd takes it"


def test_a_key_that_sshd_can_not_read_as_the_user_is_none(person: Machine) -> None:
    person.answers["runuser -u ec2-user -- test -r"] = (1, "")
    assert not guard.has_key(person.host(), "ec2-user")


def test_what_lies_above_the_home_does_not_matter(person: Machine) -> None:
    (person.root / "home").chmod(0o777)
    assert guard.has_key(person.host(), "ec2-user")


def test_each_address_that_sshd_listens_on_is_a_way_in(person: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "port_answers", lambda port: True)
    monkeypatch.setattr(guard, "session_opens", lambda host, user: True)
    person.answers["systemctl is-active"] = (0, "active")
    person.answers["sshd -T"] = (0, "port 22\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:22\n")
    before = guard.ways_in(person.host())
    guard.forget_sshd(person.host())
    person.answers["sshd -T"] = (0, "port 22\nlistenaddress 127.0.0.1:22\n")
    assert guard.lost(before, guard.ways_in(person.host())) == ["SSH on 0.0.0.0:22", "SSH on [::]:22"]


@pytest.mark.parametrize("group", ["sshd", "pam", "accounts"])
def test_where_nothing_answers_nothing_is_changed(group: str) -> None:
    assert "the console is the last way in" in str(guard.refusal(group, {**WORKING, "SSH port 22": False}))
    assert "the console is the last way in" in str(guard.refusal(group, {"Session Manager": False}))
    assert guard.refusal(group, {"Session Manager": True}) is None
    assert guard.refusal(group, WORKING) is None


def test_a_file_that_lets_nobody_in_any_more_is_put_back_and_the_others_stay(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put("/etc/f", "x", 0o666)
    closed = machine.root / "etc/nologin"
    monkeypatch.setattr(guard, "ways_in", lambda *_host: {**WORKING, "SSH session of ec2-user": not closed.exists()})
    controls = [
        {"id": "good", "type": "file", "state": {"path": "/etc/f", "mode": "0600"}},
        {"id": "bad", "type": "file", "state": {"path": "/etc/nologin", "content": "closed\n"}},
    ]
    good, bad = evaluate(controls, machine.host(), True, {})
    assert (good["status"], bad["status"]) == ("changed", "fail")
    assert "undone, because it would have cut: SSH session of ec2-user" in bad["reason"]
    assert not closed.exists()


@pytest.mark.parametrize(
    "control",
    [
        {"id": "s", "type": "service", "state": {"name": "sshd.service", "enabled": False, "running": False}},
        {"id": "p", "type": "package", "state": {"name": "openssh-server", "state": "absent"}},
    ],
)
def test_what_no_file_would_bring_back_is_not_taken_away(machine: Machine, control: dict[str, object]) -> None:
    machine.answers["systemctl show"] = (0, "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\n")
    machine.answers["rpm -qa"] = (0, "openssh-server\n")
    result = evaluate([control], machine.host(), True, {})[0]
    assert result["status"] == "fail"
    assert "is a way into the host" in result["reason"]
    assert [
        command for command in machine.asked if command.startswith(("systemctl stop", "systemctl mask", "rpm -e"))
    ] == []
