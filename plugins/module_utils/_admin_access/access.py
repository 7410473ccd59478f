# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Administrators on a host: what differs from the list, and making it so under the lock-out guard. Runs under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import contextlib
import fcntl
import os

from .._host import guard, sshd
from .._host.accounts import NO_LOGIN, change_account, groups, has_password, passwd, shadow, write_sudoers
from .._host.errors import HostError
from .._host.sshd import DROP_IN_DIRECTORY, MAIN, effective, keys_of, reads_drop_in
from .._host.undo import outcome, undo
from . import keys, texts
from .rules import CLOSED_DAY, closed, lockouts

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, Iterator, List, Optional, Tuple  # noqa: F401

    from .._host.host import Host  # noqa: F401
    from .rules import Admin, Policy  # noqa: F401

GROUP = "fleet-admins"
"""Its members are the accounts that are open now; whoever is in it and no longer on the list is closed."""
SHELL = "/bin/bash"
SUDOERS = "/etc/sudoers.d/fleet_admin_access"
DROP_IN = DROP_IN_DIRECTORY + "/01-fleet-admin-access.conf"
PAM = "/etc/pam.d/sshd"
PAM_MODULES = ("/usr/lib64/security/pam_oath.so", "/lib64/security/pam_oath.so", "/usr/lib*/*/security/pam_oath.so")
FIRST_PERSON = 1000
LOCKED = "!!"


class Change(object):
    """A file as desired: ``after`` is None to remove it, ``mode`` None to leave it. ``owner``: the account in whose home it lies."""

    def __init__(self, path, before, after, mode, owner=None):
        # type: (str, Optional[str], Optional[str], Optional[int], Optional[str]) -> None
        self.path, self.before, self.after, self.mode, self.owner = path, before, after, mode, owner

    def is_needed(self, found):
        # type: (Optional[Dict[str, Any]]) -> bool
        """``found``: {mode, owner} of what is there."""
        if self.before != self.after:
            return True
        if not found or self.mode is None:
            return False
        return (found["mode"], found["owner"]) != (self.mode, self.owner or "root")


class Access(object):
    """``admins``: the list as desired. ``connection_user``: who Ansible came in as; ``by_ssh``: it was through sshd."""

    def __init__(self, host, admins, policy, connection_user, by_ssh=False):
        # type: (Host, List[Admin], Policy, str, bool) -> None
        self.host, self.system, self.policy = host, host.system, policy
        self.reload_needed = False
        today = self._keys_today(connection_user)
        # Without a key here it was one that EC2 Instance Connect had pushed; or a shell of Session Manager, whatever becomes of SSH.
        self.connection = {connection_user: today} if connection_user and (today or by_ssh) else {}
        host.in_use = {"users": sorted(set(self.connection) | set(policy.exempt))}
        self.admins = admins + self._left_the_list(admins)

    # Reading

    def account(self, name):
        # type: (str) -> Optional[Dict[str, str]]
        return next((account for account in passwd(self.host) if account["name"] == name), None)

    def members(self):
        # type: () -> Optional[List[str]]
        """Who is in the group; None if there is no group."""
        for group in groups(self.host):
            if group["name"] == GROUP:
                return [name for name in group["members"].split(",") if name]
        return None

    def _left_the_list(self, admins):
        # type: (List[Admin]) -> List[Admin]
        listed = [admin.name for admin in admins]
        return [closed(name) for name in self.members() or [] if name not in listed]

    def _keys_today(self, name):
        # type: (str) -> List[str]
        account = self.account(name)
        paths = keys_of(self.host, account) if account else []
        return [line for path in paths for line in texts.key_lines(self.system.read(path) or "")]

    # Refusing

    def refusals(self):
        # type: () -> List[str]
        """Why nothing may be changed."""
        problems = lockouts(self.admins, self.policy, self.connection)
        for admin in self.admins:
            account = self.account(admin.name)
            if account and not FIRST_PERSON <= int(account["uid"]) < 65534:
                problems.append(
                    "%s is an account of the system here (uid %s), not a person's" % (admin.name, account["uid"])
                )
            else:
                problems += self._key_problems(admin)
        if self.policy.totp and texts.pam_stack(self.system.read(PAM) or "", True) is None:
            problems.append(
                "%s has no line 'auth substack password-auth', in whose place the code would be asked for" % PAM
            )
        if not problems and not self._access_remains():
            problems.append(
                "no access path would be left: no administrator has keys and sudo: true, and Session Manager's agent does not run. "
                "Give them, or start %s first" % guard.AGENT
            )
        return problems

    def _key_problems(self, admin):
        # type: (Admin) -> List[str]
        """Why the keys can't be where sshd takes them from, and links on the way there: root would write where they lead."""
        path, others = keys.places(self.host, admin.name)
        if path is None and admin.enabled and admin.keys:
            return [keys.nowhere(self.host, admin.name)]
        return keys.links(self.host, admin.name, ([path] if path else []) + others)

    def _access_remains(self):
        # type: () -> bool
        people = [name for name in self.host.in_use["users"] if name != self.policy.locked]
        closing = [admin.name for admin in self.admins if not admin.enabled]
        return (
            any(admin.enabled and admin.keys and admin.sudo for admin in self.admins)
            or any(self._keys_today(name) for name in people if name not in closing)
            or guard.agent_runs(self.host)
        )

    def has_pam_module(self):
        # type: () -> bool
        return any(self.system.glob(pattern) for pattern in PAM_MODULES)

    # Comparing

    def missing(self):
        # type: () -> List[Admin]
        return [admin for admin in self.admins if admin.enabled and self.account(admin.name) is None]

    def account_steps(self):
        # type: () -> List[Tuple[str, List[str]]]
        """(what differs, the command that corrects it) of the accounts that exist."""
        rows = {row[0]: row for row in shadow(self.host)}
        members = self.members() or []
        steps = []  # type: List[Tuple[str, List[str]]]
        for admin in self.admins:
            account = self.account(admin.name)
            if account is not None:
                steps += _steps(admin, account, rows.get(admin.name, [admin.name] + [""] * 8), admin.name in members)
        return steps

    def file_changes(self):
        # type: () -> List[Change]
        """The files that differ."""
        main = self.system.read(MAIN) or ""
        block = texts.sshd_block(self.policy)
        drop_in = block if reads_drop_in(main) else ""
        changes = [
            self._file(DROP_IN, texts.HEADER + drop_in if drop_in else None, 0o600),
            self._file(MAIN, texts.with_block(main, "" if drop_in else block) or None, None),
            self._file(PAM, texts.pam_stack(self.system.read(PAM) or "", self.policy.totp) or None, None),
            self._file(SUDOERS, self._sudoers(), 0o440),
            self._file(texts.USERS_OATH, self._users_oath(), 0o600),
        ] + [change for admin in self.admins for change in self._keys_files(admin)]
        return [change for change in changes if change.is_needed(self.system.stat(change.path))]

    def _file(self, path, after, mode, owner=None):
        # type: (str, Optional[str], Optional[int], Optional[str]) -> Change
        return Change(path, self.system.read(path), after, mode, owner)

    def _sudoers(self):
        # type: () -> Optional[str]
        text = texts.sudoers(self.admins)
        return None if text == texts.HEADER else text

    def _users_oath(self):
        # type: () -> Optional[str]
        desired = {admin.name: admin.secret for admin in self.admins if admin.secret}
        dropped = [admin.name for admin in self.admins if not admin.secret]
        return texts.users_oath(self.system.read(texts.USERS_OATH) or "", desired, dropped) or None

    def _keys_files(self, admin):
        # type: (Admin) -> List[Change]
        """The file that sshd takes the administrator's keys from; every other one that is the administrator's alone goes."""
        if not admin.enabled and self.account(admin.name) is None:
            return []
        path, others = keys.places(self.host, admin.name)
        desired = texts.authorized_keys(admin) if admin.enabled and admin.keys else None
        changes = [self._key_change(admin, path, desired)] if path else []
        return changes + [self._key_change(admin, other, None) for other in others]

    def _key_change(self, admin, path, desired):
        # type: (Admin, str, Optional[str]) -> Change
        # Outside of the home it is root's; sshd reads it as the user.
        at_home = keys.is_at_home(self.host, admin.name, path)
        return self._file(path, desired, 0o600 if at_home else 0o644, admin.name if at_home else None)

    # Changing

    def apply(self):
        # type: () -> None
        """Change the host, prove that the access paths still work, else undo it. Raises HostError."""
        before = self._kept_paths(guard.access_paths(self.host))
        mark = self.system.mark()
        try:
            self._change()
            self._prove(before)
        except Exception as error:  # whatever it is, no half of a change stays
            left = undo(lambda: self.system.restore(mark), lambda: guard.restore_sshd(self.host, before))
            if left or isinstance(error, (HostError, EnvironmentError)):
                raise HostError("%s. %s" % (error, outcome(left)))
            raise

    def _kept_paths(self, ways):
        # type: (Dict[str, bool]) -> Dict[str, bool]
        """Less those that are meant to close."""
        closing = [admin.name for admin in self.admins if not admin.enabled]
        closing += [self.policy.locked] if self.policy.locked else []
        return {way: works for way, works in ways.items() if way.rsplit(" of ", 1)[-1] not in closing}

    def _change(self):
        # type: () -> None
        if self.members() is None and any(admin.enabled for admin in self.admins):
            change_account(self.host, ["groupadd", "-r", GROUP])
        for admin in self.missing():
            change_account(self.host, ["useradd", "-m", "-s", SHELL, "-c", "Administrator", admin.name])
        for _what, argv in self.account_steps():
            change_account(self.host, argv)
        self.system.forget_all("sshd")  # a Match block may be about the groups of who is there only now
        for change in self.file_changes():
            self._write(change)
            self.reload_needed = self.reload_needed or change.path in (MAIN, DROP_IN)

    def _write(self, change):
        # type: (Change) -> None
        if change.path == texts.USERS_OATH:
            with locked(self.system.real(change.path) + ".lock"):
                # A login may have noted its code since.
                change = self._file(change.path, self._users_oath(), change.mode)
                self._put(change)
        elif change.path == SUDOERS and change.after is not None:
            write_sudoers(self.host, change.path, change.after)
            self._put(change)
        elif change.owner:
            account = self.account(change.owner) or {}
            with as_user(int(account["uid"]), int(account["gid"])):
                self._put(change)
        else:
            self._put(change)

    def _put(self, change):
        # type: (Change) -> None
        found = self.system.stat(change.path)
        if found and (change.after is None or (change.owner and found["owner"] != change.owner)):
            self.system.remove(change.path)
        if change.after is not None:
            folder = os.path.dirname(change.path)
            if not self.system.exists(folder):
                self.system.make_directory(folder, 0o700 if change.owner else 0o755, None, None)
            self.system.write(change.path, change.after, change.mode)
            if change.mode is not None and not change.owner:
                self.system.set_attributes(change.path, change.mode, "root", "root")

    def _prove(self, before):
        # type: (Dict[str, bool]) -> None
        for group in ("sudo", "sshd"):
            problem = guard.check(group, self.host)
            if problem:
                raise HostError(problem)
        if self.reload_needed:
            sshd.reload(self.host)
        names = [admin.name for admin in self.admins if admin.enabled] + self.policy.exempt
        guard.forget_sshd(self.host)
        self._prove_keys()
        for name in names if self.policy.totp else []:
            desired = "publickey" if name in self.policy.exempt else texts.WITH_CODE
            found = effective(self.host, name).get("authenticationmethods", "any")
            if found != desired:
                raise HostError(
                    "sshd would let %s in by '%s', not by '%s': another Match block comes first"
                    % (name, found, desired)
                )
        lost = guard.lost(before, guard.access_paths(self.host, before))
        if lost:
            raise HostError("it would have cut: %s" % ", ".join(lost))

    def _prove_keys(self):
        # type: () -> None
        """sshd reads what was written, and nothing of who is locked."""
        for admin in self.admins:
            path = keys.places(self.host, admin.name)[0]
            if admin.enabled and admin.keys and path not in guard.key_files_taken(self.host, admin.name):
                raise HostError(keys.not_taken(self.host, admin.name, path))
        if self.policy.locked and self.account(self.policy.locked):
            found = effective(self.host, self.policy.locked)
            for option in ("authorizedkeysfile", "authorizedkeyscommand"):
                if found.get(option, "none") != "none":
                    raise HostError(
                        "sshd would still take keys of %s (%s %s): another Match block comes first"
                        % (self.policy.locked, option, found[option])
                    )

    def open_accounts_to_close(self):
        # type: () -> List[str]
        expiry = {row[0]: _number(row[7]) for row in shadow(self.host)}
        return [
            admin.name
            for admin in self.admins
            if not admin.enabled and expiry.get(admin.name, CLOSED_DAY) != CLOSED_DAY
        ]

    def end_sessions(self, names):
        # type: (List[str]) -> None
        """What runs as them ends: a closed account opens no new session, but its old ones would go on."""
        for name in names:
            self.system.run(["pkill", "-KILL", "-u", name])


def _steps(admin, account, row, is_member):
    # type: (Admin, Dict[str, str], List[str], bool) -> List[Tuple[str, List[str]]]
    """What one account needs. Pure."""
    name, steps = admin.name, []  # type: str, List[Tuple[str, List[str]]]
    if has_password(row[1]) or row[1] == "":
        steps.append(("%s: no password" % name, ["usermod", "-p", LOCKED, name]))
    if admin.enabled:
        if account["shell"] in NO_LOGIN:
            steps.append(("%s: may log in" % name, ["usermod", "-s", SHELL, name]))
        # A key does not age: with login.defs' limit for passwords, PAM would close the account after a year.
        closes = -1 if admin.closes is None else admin.closes
        if (_number(row[4]) not in (-1, 99999)) or _number(row[6]) != -1 or _number(row[7]) != closes:
            steps.append(
                (
                    "%s: closes on day %d (-1: never)" % (name, closes),
                    ["chage", "-M", "-1", "-I", "-1", "-E", "%d" % closes, name],
                )
            )
        if not is_member:
            steps.append(("%s: in group %s" % (name, GROUP), ["gpasswd", "-a", name, GROUP]))
        return steps
    if account["shell"] not in NO_LOGIN:
        steps.append(("%s: may not log in" % name, ["usermod", "-s", NO_LOGIN[0], name]))
    if _number(row[7]) != CLOSED_DAY:
        steps.append(("%s: closed" % name, ["chage", "-E", "%d" % CLOSED_DAY, name]))
    if is_member:
        steps.append(("%s: not in group %s" % (name, GROUP), ["gpasswd", "-d", name, GROUP]))
    return steps


def _number(field):
    # type: (str) -> int
    try:
        return int(field)
    except ValueError:
        return -1


@contextlib.contextmanager
def as_user(uid, gid):
    # type: (int, int) -> Iterator[None]
    """Write as the account's owner: whatever lies in the home, nothing else can be reached through it."""
    groups_before = os.getgroups()
    os.setgroups([gid])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups_before)


@contextlib.contextmanager
def locked(path):
    # type: (str) -> Iterator[None]
    """Hold the lock that liboath takes while it rewrites the file."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.unlink(path)
        os.close(handle)
