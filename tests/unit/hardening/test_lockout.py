"""What would cut the last access path is undone or refused, control by control."""

from __future__ import annotations

import os

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard

from tests.support.hardening.machine import Machine

WORKING = {"SSH port 22": True, "SSH session of ec2-user": True, "key of ec2-user": True, "Session Manager": False}


def test_a_file_that_lets_nobody_in_any_more_is_restored_and_the_others_stay(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put("/etc/f", "x", 0o666)
    closed = machine.root / "etc/nologin"
    monkeypatch.setattr(
        guard, "access_paths", lambda *_host: {**WORKING, "SSH session of ec2-user": not closed.exists()}
    )
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
    assert "is an access path to the host" in result["reason"]
    assert [
        command for command in machine.asked if command.startswith(("systemctl stop", "systemctl mask", "rpm -e"))
    ] == []


GUARDED = [
    {"id": "plain", "type": "sysctl", "state": {"name": "kernel.x", "value": "1"}},
    {"id": "file", "type": "file", "state": {"path": "/etc/f", "mode": "0600"}},
]


@pytest.mark.parametrize("passwd", ["missing", "empty", "directory", "pipe", "not text"])
def test_where_the_accounts_can_not_be_read_what_is_guarded_is_refused_and_the_rest_goes_on(
    machine: Machine, passwd: str
) -> None:
    machine.put("/etc/f", "x", 0o666)
    machine.put("/proc/sys/kernel/x", "0\n")
    real = machine.root / "etc/passwd"
    machine.accounts = ""
    if passwd == "directory":
        real.mkdir()
    elif passwd == "pipe":
        os.mkfifo(real)
    elif passwd == "not text":
        real.write_bytes(b"\x00\xff\xfe:::\n" * 5)
    elif passwd == "empty":
        real.write_text("")
    plain, guarded = evaluate(GUARDED, machine.host(), True, {})
    assert plain["status"] == "changed"
    assert guarded["status"] == "fail"
    assert "refused: which access paths work can't be told" in guarded["reason"]
    assert "/etc/passwd" in guarded["reason"]
    assert (machine.root / "etc/f").stat().st_mode & 0o777 == 0o666


def test_a_guard_that_fails_in_whatever_way_refuses(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_words: object) -> dict[str, bool]:
        raise ZeroDivisionError("nobody thought of it")

    machine.put("/etc/f", "x", 0o666)
    monkeypatch.setattr(guard, "access_paths", fails)
    (guarded,) = evaluate(GUARDED[1:], machine.host(), True, {})
    assert (guarded["status"], "nobody thought of it" in guarded["reason"]) == ("fail", True)


def test_a_home_that_is_no_path_is_no_access_path_and_no_traceback(machine: Machine) -> None:
    machine.put("/etc/passwd", "ec2-user:x:1000:1000::/home/\u2028\u0085\x0c:/bin/bash\nbob:x:1:1::/a\0b:/bin/sh\n")
    machine.answers["sshd -T"] = (0, "port 22\nauthorizedkeysfile %h/\0 .ssh/authorized_keys\n")
    machine.put("/etc/f", "x", 0o666)
    (guarded,) = evaluate(GUARDED[1:], machine.host(), True, {})
    assert guarded["status"] == "changed", guarded["reason"]
