"""What is refused on a host, and what an account needs, by the lists of accounts that are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.access import GROUP, Access
from ansible_collections.ecommerce.fleet.plugins.module_utils._admin_access.rules import Admin, Policy, closed
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.host import Host
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import Completed
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

from tests.support.attributes import protected

ROOT = "root:x:0:0::/root:/bin/bash\n"
EC2_USER = "ec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n"
ALICE = "alice:x:1001:1001::/home/alice:/bin/bash\n"
ROW = "alice:{password}:20000:0:{maximum}:7:{inactive}:{expire}:\n"
PAM = "auth substack password-auth\n"


class Rooted:
    """A host below a directory, whose agent runs or not."""

    def __init__(self, root: Path, files: dict[str, str], agent: bool = False) -> None:
        for path, text in {"/etc/pam.d/sshd": PAM, "/etc/passwd": ROOT, "/proc/uptime": "9999 1", **files}.items():
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (root / path[1:]).write_text(text)
        self.agent, self.root = agent, root

    def access(
        self, *admins: Admin, policy: Policy | None = None, connection: str = "ec2-user", by_ssh: bool = False
    ) -> Access:
        system = System(str(self.root), runner=self._run)
        return Access(Host(system, None, "al2023", False), list(admins), policy or Policy(), connection, by_ssh)

    def _run(self, argv: list[str], timeout: float = 30.0, stdin: str | None = None) -> Completed:
        state = "active" if self.agent else "inactive"
        return Completed(argv, 0, f"ActiveState={state}\nActiveEnterTimestampMonotonic=1\n", "")


WITH_KEY = {"/home/ec2-user/.ssh/authorized_keys": "ssh-ed25519 AAAA lab\n", "/etc/passwd": ROOT + EC2_USER}


def test_somebody_always_gets_in(tmp_path: Path) -> None:
    admin = Admin("zoe", ["ssh-ed25519 AAAA"], sudo=True)
    assert Rooted(tmp_path / "key", WITH_KEY).access().refusals() == []
    assert Rooted(tmp_path / "agent", {}, agent=True).access().refusals() == []
    assert Rooted(tmp_path / "admin", {}).access(admin).refusals() == []
    assert "no access path would be left" in Rooted(tmp_path / "none", {}).access(closed("zoe")).refusals()[0]


@pytest.mark.parametrize("by_ssh", [True, False], ids=["SSH with a pushed key", "Session Manager's shell"])
def test_who_came_by_ssh_without_a_key_in_a_file_must_get_in_again(tmp_path: Path, by_ssh: bool) -> None:
    """EC2 Instance Connect leaves no key on the host."""
    admin = Admin("zoe", ["ssh-ed25519 AAAA"], sudo=True, secret="aa")
    host = Rooted(tmp_path, {"/etc/passwd": ROOT + EC2_USER}, agent=True)
    locked = host.access(admin, policy=Policy(locked="ec2-user"), by_ssh=by_ssh).refusals()
    codes = host.access(admin, policy=Policy(totp=True), by_ssh=by_ssh).refusals()
    assert [("connects as ec2-user" in "".join(found)) for found in (locked, codes)] == [by_ssh, by_ssh]
    assert host.access(admin, policy=Policy(totp=True, exempt=["ec2-user"]), by_ssh=by_ssh).refusals() == []


def test_an_account_of_the_system_is_nobodys(tmp_path: Path) -> None:
    host = Rooted(tmp_path, {**WITH_KEY, "/etc/passwd": ROOT + EC2_USER + "nginx:x:990:990::/:/bin/bash\n"})
    assert "nginx is an account of the system here (uid 990)" in host.access(closed("nginx")).refusals()[0]


@pytest.mark.parametrize("link", ["/home/alice/.ssh", "/home/alice/.ssh/authorized_keys"])
def test_a_link_that_would_lead_root_elsewhere_is_refused(tmp_path: Path, link: str) -> None:
    host = Rooted(tmp_path, {**WITH_KEY, "/etc/passwd": ROOT + EC2_USER + ALICE})
    (tmp_path / link[1:]).parent.mkdir(parents=True)
    (tmp_path / link[1:]).symlink_to("/etc")
    assert f"{link} of alice is a symbolic link" in host.access(Admin("alice")).refusals()[0]


def test_a_code_has_to_have_its_place_in_pam(tmp_path: Path) -> None:
    host = Rooted(tmp_path, {**WITH_KEY, "/etc/pam.d/sshd": "@include common-auth\n"})
    policy = Policy(totp=True, exempt=["ec2-user"])
    assert "has no line 'auth substack password-auth'" in host.access(policy=policy).refusals()[0]


def steps(root: Path, admin: Admin, group: str, **row: str) -> list[list[str]]:
    fields = {"password": "!!", "maximum": "", "inactive": "", "expire": "", **row}
    files = {"/etc/passwd": ROOT + ALICE, "/etc/shadow": ROW.format(**fields), "/etc/group": f"{GROUP}:x:990:{group}\n"}
    return [argv for _what, argv in Rooted(root, files).access(admin).account_steps()]


def test_an_account_as_wanted_needs_nothing(tmp_path: Path) -> None:
    assert steps(tmp_path, Admin("alice", closes=25000), "bob,alice", expire="25000") == []


def test_an_open_account_has_no_password_and_does_not_age(tmp_path: Path) -> None:
    needed = steps(tmp_path, Admin("alice"), "", password="$6$a$b", maximum="365", expire="1")
    assert needed == [
        ["usermod", "-p", "!!", "alice"],
        ["chage", "-M", "-1", "-I", "-1", "-E", "-1", "alice"],
        ["gpasswd", "-a", "alice", GROUP],
    ]


def test_who_is_no_longer_listed_is_closed(tmp_path: Path) -> None:
    needed = steps(tmp_path, Admin("zoe"), "alice")
    assert [argv[0] for argv in needed] == ["usermod", "chage", "gpasswd"]
    assert needed[1] == ["chage", "-E", "1", "alice"]


def test_a_closed_account_needs_nothing_more(tmp_path: Path) -> None:
    row = ROW.format(password="!!", maximum="", inactive="", expire="1")
    files = {"/etc/passwd": ROOT + ALICE.replace("/bin/bash", "/sbin/nologin"), "/etc/shadow": row}
    assert Rooted(tmp_path, files).access(closed("alice")).account_steps() == []


@pytest.mark.parametrize("error", [HostError("it would have cut: SSH port 22"), OSError(28, "No space left on device")])
def test_an_undo_that_fails_is_named_and_the_rest_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    access = Rooted(tmp_path, {**WITH_KEY, "/etc/motd": "old\n", "/etc/other": "old\n"}).access()

    def change() -> None:
        for path in ("/etc/motd", "/etc/other"):
            access.system.write(path, "new\n")
        raise error

    def no_sshd(*_arguments: object) -> None:
        raise HostError("systemctl restart sshd: failed")

    monkeypatch.setattr(access, "_change", change)
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {})
    with pytest.raises(HostError, match=r"\. Everything was restored$"):
        access.apply()
    monkeypatch.setattr(guard, "restore_sshd", no_sshd)
    restore = access.system.restore

    def while_protected(mark: int) -> list[str]:
        with protected(tmp_path / "etc/motd"):
            return restore(mark)

    monkeypatch.setattr(access.system, "restore", while_protected)
    with pytest.raises(HostError) as raised:
        access.apply()
    assert "Not everything could be restored: /etc/motd is not as it was: " in str(raised.value)
    assert "systemctl restart sshd: failed" in str(raised.value)
    assert (tmp_path / "etc/other").read_text() == "old\n"
