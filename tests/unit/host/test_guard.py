"""What the guard takes for an access path, and what it refuses before anything is changed."""

from __future__ import annotations

import os

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard

from tests.support.hardening.machine import Machine

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


def test_a_key_that_sshd_reads_and_trusts_is_an_access_path(person: Machine) -> None:
    assert guard.key_files_taken(person.host(), "ec2-user")


@pytest.mark.parametrize("path", ["/home/ec2-user", "/home/ec2-user/.ssh", KEYS])
@pytest.mark.parametrize("change", ["mode", "owner"])
def test_a_key_that_others_could_replace_is_none(person: Machine, path: str, change: str) -> None:
    real = person.root / path.lstrip("/")
    if change == "mode":
        real.chmod(0o770)
    else:
        os.chown(real, 4242, 4242)
    assert not guard.key_files_taken(person.host(), "ec2-user")
    guard.forget_sshd(person.host())
    person.answers["sshd -T"] = (0, "strictmodes no\n")
    assert guard.key_files_taken(person.host(), "ec2-user"), "without StrictModes sshd takes it"


def test_a_key_that_sshd_can_not_read_as_the_user_is_none(person: Machine) -> None:
    person.answers["runuser -u ec2-user -- test -r"] = (1, "")
    assert not guard.key_files_taken(person.host(), "ec2-user")


def test_what_lies_above_the_home_does_not_matter(person: Machine) -> None:
    (person.root / "home").chmod(0o777)
    assert guard.key_files_taken(person.host(), "ec2-user")


def test_each_address_that_sshd_listens_on_is_an_access_path(person: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "port_answers", lambda port: True)
    monkeypatch.setattr(guard, "session_opens", lambda host, user: True)
    person.answers["systemctl is-active"] = (0, "active")
    person.answers["sshd -T"] = (0, "port 22\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:22\n")
    before = guard.access_paths(person.host())
    guard.forget_sshd(person.host())
    person.answers["sshd -T"] = (0, "port 22\nlistenaddress 127.0.0.1:22\n")
    assert guard.lost(before, guard.access_paths(person.host())) == ["SSH on 0.0.0.0:22", "SSH on [::]:22"]


@pytest.mark.parametrize("group", ["sshd", "pam", "accounts"])
def test_where_nothing_answers_nothing_is_changed(group: str) -> None:
    assert "the console is the last access path" in str(guard.refusal(group, {**WORKING, "SSH port 22": False}))
    assert "the console is the last access path" in str(guard.refusal(group, {"Session Manager": False}))
    assert guard.refusal(group, {"Session Manager": True}) is None
    assert guard.refusal(group, WORKING) is None


COMMAND = "/opt/aws/bin/eic_run_authorized_keys"
ASKED = f"authorizedkeyscommand {COMMAND} %u %f\nauthorizedkeyscommanduser ec2-instance-connect\n"
CONNECT = "EC2 Instance Connect of ec2-user"
RUN = f"runuser -u ec2-instance-connect -- {COMMAND} ec2-user SHA256:"


@pytest.fixture
def connected(person: Machine) -> Machine:
    """A machine whose sshd asks EC2 Instance Connect as well."""
    person.put("/etc/passwd", PERSON + "ec2-instance-connect:x:994:994::/home/x:/sbin/nologin\n")
    person.put(COMMAND, "#!/bin/sh\n", 0o755)
    for folder in ("", "opt", "opt/aws", "opt/aws/bin"):
        (person.root / folder).chmod(0o755)
    person.answers["sshd -T"] = (0, f"port 22\nauthorizedkeysfile .ssh/authorized_keys\n{ASKED}")
    return person


def sources(machine: Machine) -> dict[str, bool]:
    guard.forget_sshd(machine.host())
    return guard.key_sources(machine.host(), "ec2-user")


def test_instance_connect_is_an_access_path_if_its_command_ends_well_as_its_account(connected: Machine) -> None:
    assert sources(connected)[CONNECT]
    assert any(command.startswith(RUN) for command in connected.asked)
    connected.answers[RUN] = (255, "")
    assert not sources(connected)[CONNECT]


@pytest.mark.parametrize("path", ["opt", "opt/aws/bin", COMMAND[1:]])
@pytest.mark.parametrize("change", ["mode", "owner"])
def test_a_command_that_others_could_replace_is_none_for_sshd(connected: Machine, path: str, change: str) -> None:
    if change == "mode":
        (connected.root / path).chmod(0o775)
    else:
        os.chown(connected.root / path, 4242, 4242)
    assert not sources(connected)[CONNECT]
    assert not any(command.startswith(RUN) for command in connected.asked)


@pytest.mark.parametrize("gone", ["program", "account", "user of the command", "command"])
def test_instance_connect_is_lost_when_a_part_of_it_is_gone(connected: Machine, gone: str) -> None:
    before = guard.access_paths(connected.host())
    if gone == "program":
        (connected.root / COMMAND[1:]).unlink()
    elif gone == "account":
        connected.put("/etc/passwd", PERSON)
    else:
        line = ASKED.splitlines()[0 if gone == "command" else 1]
        shown = connected.answers["sshd -T"][1].replace(line, f"{line.split()[0]} none")
        connected.answers["sshd -T"] = (0, shown)
    guard.forget_sshd(connected.host())
    assert guard.lost(before, guard.access_paths(connected.host())) == [CONNECT]


def test_another_command_is_asked_with_its_tokens_replaced(connected: Machine) -> None:
    connected.put("/usr/bin/keys", "#!/bin/sh\n", 0o755)
    connected.answers["sshd -T"] = (0, ASKED.replace(f"{COMMAND} %u %f", "/usr/bin/keys %%x %U:%h %t %s"))
    for folder in ("usr", "usr/bin"):
        (connected.root / folder).chmod(0o755)
    assert sources(connected)["key command of ec2-user"]
    assert connected.asked[-1] == "runuser -u ec2-instance-connect -- /usr/bin/keys %x 1000:/home/ec2-user ssh-ed25519 "


def test_a_command_without_arguments_gets_the_user(connected: Machine) -> None:
    connected.answers["sshd -T"] = (0, ASKED.replace(" %u %f", ""))
    assert sources(connected)[CONNECT]
    assert connected.asked[-1] == f"runuser -u ec2-instance-connect -- {COMMAND} ec2-user"


def test_a_command_that_is_asked_for_keys_does_not_hide_that_the_file_is_read_no_more(connected: Machine) -> None:
    before = guard.access_paths(connected.host())
    assert before["key of ec2-user"] and before[CONNECT] and not before["certificate of ec2-user"]
    guard.forget_sshd(connected.host())
    connected.answers["sshd -T -C user=ec2-user"] = (0, f"port 22\nauthorizedkeysfile none\n{ASKED}")
    assert guard.lost(before, guard.access_paths(connected.host())) == ["key of ec2-user"]


@pytest.mark.parametrize("source", ["key of", "key command of", "EC2 Instance Connect of", "certificate of"])
def test_any_source_of_keys_is_an_access_path_that_can_be_proven(source: str) -> None:
    none = {"key of a": False, "key command of a": False, "certificate of a": False, "SSH port 22": True}
    assert "no user has an SSH key" in str(guard.refusal("pam", none))
    assert guard.refusal("pam", {**none, f"{source} a": True}) is None
