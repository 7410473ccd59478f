"""Keys are where sshd takes them from, by what it says of the user; nowhere else, and never where everybody's are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.access import Access
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.rules import Admin, Policy, closed
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError

from tests.support.hardening.machine import Machine

KEY = "ssh-ed25519 AAAA zoe"
ZOE = Admin("zoe", [KEY], sudo=True)
PASSWD = "root:x:0:0::/root:/bin/bash\nzoe:x:{uid}:{uid}::/home/zoe:/bin/bash\n"


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Whoever runs the test is zoe, so that files can be given to her."""
    machine.put("/etc/passwd", PASSWD.format(uid=1001))
    machine.put("/etc/pam.d/sshd", "auth substack password-auth\n")
    machine.put("/proc/uptime", "9999 1")
    (machine.root / "home/zoe").mkdir(parents=True)
    answers = {"systemctl": "ActiveState=inactive\n", "runuser": "", "sshd -t": "", "visudo": ""}
    machine.answers |= {command: (0, output) for command, output in answers.items()}
    return machine


def reads(machine: Machine, everybody: str, **users: str) -> None:
    """What sshd -T says AuthorizedKeysFile is; of users, as their Match blocks have it."""
    machine.answers["sshd -T"] = (0, f"port 22\nauthorizedkeysfile {everybody}\n")
    for user, files in users.items():
        machine.answers[f"sshd -T -C user={user}"] = (0, f"port 22\nauthorizedkeysfile {files}\n")


def access(machine: Machine, *admins: Admin, policy: Policy | None = None) -> Access:
    return Access(machine.host(), list(admins), policy or Policy(), "")


def key_changes(machine: Machine, *admins: Admin) -> dict[str, str | None]:
    changes = access(machine, *admins).file_changes()
    return {
        change.path: change.after and change.after.splitlines()[-1]
        for change in changes
        if "sudoers" not in change.path
    }


@pytest.mark.parametrize(
    ("files", "written", "mode", "owner"),
    [
        (".ssh/authorized_keys .ssh/authorized_keys2", "/home/zoe/.ssh/authorized_keys", 0o600, "zoe"),
        ("/etc/ssh/keys/%u .ssh/authorized_keys", "/home/zoe/.ssh/authorized_keys", 0o600, "zoe"),
        ("/etc/ssh/keys/%u", "/etc/ssh/keys/zoe", 0o644, None),
        ("/etc/ssh/authorized_keys /srv/keys/%U/k%%ys", "/srv/keys/1001/k%ys", 0o644, None),
        ("none %h/.keys", "/home/zoe/.keys", 0o600, "zoe"),
    ],
)
def test_keys_are_written_where_sshd_looks(
    host: Machine, files: str, written: str, mode: int, owner: str | None
) -> None:
    reads(host, ".ssh/nowhere", zoe=files)
    assert access(host, ZOE).refusals() == []
    (change,) = [change for change in access(host, ZOE).file_changes() if "sudoers" not in change.path]
    assert (change.path, change.mode, change.owner) == (written, mode, owner)
    assert change.after is not None and KEY in change.after


@pytest.mark.parametrize("files", ["none", "/etc/ssh/authorized_keys", "/etc/ssh/a /etc/ssh/b"])
def test_where_no_file_is_the_users_alone_it_is_refused(host: Machine, files: str) -> None:
    reads(host, ".ssh/authorized_keys", zoe=files)
    (refusal,) = access(host, ZOE).refusals()
    assert refusal.startswith(
        f"sshd takes keys of zoe from no file that is that user's alone (AuthorizedKeysFile {files}"
    )
    assert "add .ssh/authorized_keys to it" in refusal
    assert access(host, closed("zoe")).file_changes() == [], "who is closed needs no file"


def test_other_files_that_let_the_user_in_go_and_shared_ones_stay(host: Machine) -> None:
    reads(host, "x", zoe=".ssh/authorized_keys .ssh/authorized_keys2 /etc/ssh/keys/%u /etc/ssh/shared")
    for path in ("/home/zoe/.ssh/authorized_keys2", "/etc/ssh/keys/zoe", "/etc/ssh/shared"):
        host.put(path, "ssh-ed25519 BBBB somebody\n")
    assert key_changes(host, ZOE) == {
        "/home/zoe/.ssh/authorized_keys": KEY,
        "/home/zoe/.ssh/authorized_keys2": None,
        "/etc/ssh/keys/zoe": None,
    }
    assert set(key_changes(host, closed("zoe"))) == {"/home/zoe/.ssh/authorized_keys2", "/etc/ssh/keys/zoe"}


def test_keys_in_the_usual_place_go_when_sshd_reads_another(host: Machine) -> None:
    reads(host, "x", zoe="/etc/ssh/keys/%u")
    host.put("/home/zoe/.ssh/authorized_keys", f"{KEY}\n")
    assert key_changes(host, ZOE) == {"/etc/ssh/keys/zoe": KEY, "/home/zoe/.ssh/authorized_keys": None}


def test_a_link_on_the_way_to_any_file_at_home_is_refused(host: Machine) -> None:
    reads(host, "x", zoe=".config/ssh/keys")
    (host.root / "home/zoe/.config").symlink_to("/etc")
    assert access(host, ZOE).refusals() == ["/home/zoe/.config of zoe is a symbolic link; remove it first"]


@pytest.mark.parametrize(
    "fault", ["writable by others", "another's", "unreadable for the user", "a Match block about a group"]
)
def test_keys_that_sshd_would_not_take_are_an_error_and_all_is_undone(
    host: Machine, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    reads(host, "/etc/ssh/keys/%u")
    host.put("/etc/ssh/keys/.keep", "")
    there = access(host, ZOE)
    monkeypatch.setattr(there, "account_steps", list)
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {})
    monkeypatch.setattr(there, "members", list)
    folder: Path = host.root / "etc/ssh/keys"
    if fault == "writable by others":
        folder.chmod(0o777)
    elif fault == "another's":
        os.chown(folder, 4242, 4242)
    elif fault == "unreadable for the user":
        host.answers["runuser -u zoe -- test -r"] = (1, "")
    else:
        written = there.system.write

        def write(path: str, *words: object) -> None:
            written(path, *words)
            reads(host, "/etc/ssh/keys/%u", zoe="none")

        monkeypatch.setattr(there.system, "write", write)
    with pytest.raises(HostError, match=r"sshd takes no key of zoe from .*Everything was restored"):
        there.apply()
    assert not (folder / "zoe").exists()


def test_keys_outside_of_the_home_are_written_and_taken(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    reads(host, "/etc/ssh/keys/%u")
    there = access(host, ZOE)
    monkeypatch.setattr(there, "account_steps", list)
    monkeypatch.setattr(there, "members", list)
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {})
    there.apply()
    assert KEY in host.text("/etc/ssh/keys/zoe")
    assert (host.root / "etc/ssh/keys/zoe").stat().st_mode & 0o777 == 0o644
    assert there.file_changes() == []


def test_a_lock_that_another_match_block_overrules_is_an_error(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("/etc/passwd", PASSWD.format(uid=1001) + "ec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n")
    reads(host, ".ssh/authorized_keys")
    there = access(host, policy=Policy(locked="ec2-user"))
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {})
    with pytest.raises(
        HostError, match=r"sshd would still take keys of ec2-user \(authorizedkeysfile .ssh/authorized_keys\)"
    ):
        there.apply()


def test_an_account_that_is_gone_needs_nothing_though_its_home_is_there(host: Machine) -> None:
    host.put("/home/old/.ssh/authorized_keys", f"{KEY}\n")
    reads(host, ".ssh/authorized_keys")
    assert access(host, closed("old")).file_changes() == []
