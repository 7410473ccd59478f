# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts: password ageing, shells, empty passwords, the lists themselves."""

from __future__ import absolute_import, division, print_function

import os
import re
import time

from ..._host.accounts import NO_LOGIN, change_account, groups, has_keys, has_password, passwd, shadow
from ..._host.errors import HostError
from ..._host.sshd import keys_of
from ..compare import difference, number
from .base import Found, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

ALLOWED_SYSTEM_SHELLS = ("/bin/sync", "/sbin/shutdown", "/sbin/halt")
AGEING = {"minimum_days": (3, "-m"), "maximum_days": (4, "-M"), "warn_days": (5, "-W"), "inactive_days": (6, "-I")}
"""Name -> (field of shadow(5) from 0, option of chage(1))."""
HOME_MODE = 0o750
SYSTEM_DIRECTORIES = (
    "bin", "boot", "dev", "etc", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var",
)  # fmt: skip
"""Directories of / whose contents programs share (hier(7)): nothing in them is closed because an account calls it its home."""


class PasswordAging(Resource):
    """Ageing of every password that could be used: accounts without one (keys only) have nothing to age."""

    name = "password_aging"
    guard = "accounts"
    fields = {"field": "text!", "days": "number!", "at_most": "flag!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        index = AGEING[state["field"]][0]
        return Found({row[0]: row[index] or None for row in shadow(host) if has_password(row[1])})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        sign = "at most" if state["at_most"] else "at least"
        result = []  # type: List[Difference]
        for user, value in sorted(found.values.items()):
            days = number(value)
            days = -1 if days is None else days
            good = 0 <= days <= state["days"] if state["at_most"] else days >= state["days"]
            if not good:
                result.append(difference("%s %s" % (user, state["field"]), "%s %d" % (sign, state["days"]), value))
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        option = AGEING[state["field"]][1]
        for what, _desired, _found in self.diff(state, found):
            change_account(host, ["chage", option, "%d" % state["days"], what.split()[0]])


class SystemAccounts(Resource):
    """Accounts of programs: no shell to log in with (``shell``), no password (``locked``). Those declared in use are left alone."""

    name = "system_account"
    guard = "accounts"
    fields = {"want": "word!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        passwords = {row[0]: row[1] for row in shadow(host)}
        values = {}  # type: Dict[str, Any]
        for account in system_accounts(host):
            if state["want"] == "shell":
                values[account["name"]] = account["shell"]
            else:
                password = passwords.get(account["name"], "!")
                values[account["name"]] = "has a password" if has_password(password) or password == "" else "locked"
        return Found(values)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        good = NO_LOGIN + ALLOWED_SYSTEM_SHELLS if state["want"] == "shell" else ("locked",)
        desired = NO_LOGIN[0] if state["want"] == "shell" else "locked"
        return [difference(user, desired, value) for user, value in sorted(found.values.items()) if value not in good]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        for user, desired, _found in self.diff(state, found):
            change_account(
                host, ["usermod", "-s", desired, user] if state["want"] == "shell" else ["usermod", "-L", user]
            )


class EmptyGroup(Resource):
    """The group ``group`` exists and nobody is in it: what is allowed to its members is allowed to nobody."""

    name = "empty_group"
    desired = "empty"
    guard = "accounts"
    fields = {"group": "text!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        rows = [row for row in groups(host) if row["name"] == state["group"]]
        if not rows:
            return Found({"group " + state["group"]: None})
        people = [name for name in rows[0]["members"].split(",") if name]
        people += [a["name"] for a in passwd(host) if a["gid"] == rows[0]["gid"] and a["name"] not in people]
        return Found({"group " + state["group"]: ", ".join(people) or "empty"})

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        members = found.values["group " + state["group"]]
        if members is None:
            return change_account(host, ["groupadd", "-r", state["group"]])
        for user in members.split(", "):
            change_account(host, ["gpasswd", "-d", user, state["group"]])
        return None


class AccountList(Resource):
    """What must be true of the lists of accounts and groups. Only what has one safe answer is changed; the rest needs a person."""

    name = "account_list"
    desired = "none"
    guard = "accounts"
    fields = {"check": "word!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        check = CHECKS[state["check"]]
        return Found(dict.fromkeys(check(host), "found"))

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        if state["check"] == "empty_passwords":
            for problem in sorted(found.values):
                change_account(host, ["passwd", "-l", problem.split()[0]])
        elif state["check"] == "root_group":
            change_account(host, ["usermod", "-g", "0", "root"])
        elif state["check"] == "unshadowed":
            change_account(host, ["pwconv"])
        elif state["check"] == "open_homes" and any(home.closable for home in homes(host)):
            for home in homes(host):
                if home.closable:
                    host.system.set_attributes(home.path, mode=home.mode & HOME_MODE)
        else:
            raise HostError("needs a person: which of them is right can't be known here")


def system_accounts(host):
    # type: (Host) -> List[Dict[str, str]]
    """Accounts below the first person's id, less root and those declared in use."""
    return [a for a in passwd(host) if 0 < int(a["uid"]) < 1000 and not host.uses("users", a["name"])] + [
        a for a in passwd(host) if a["name"] in ("nobody", "nfsnobody") and int(a["uid"]) >= 1000
    ]


def _repeated(names):
    # type: (List[str]) -> List[str]
    return sorted({name for name in names if names.count(name) > 1})


def _duplicates(what, field):
    # type: (str, str) -> Any
    def check(host):
        # type: (Host) -> List[str]
        rows = passwd(host) if what == "passwd" else groups(host)
        return [
            "%s %s of several entries in /etc/%s" % (field, name, what)
            for name in _repeated([row[field] for row in rows])
        ]

    return check


def _empty_passwords(host):
    # type: (Host) -> List[str]
    return ["%s has an empty password" % row[0] for row in shadow(host) if row[1] == ""]


def _unshadowed(host):
    # type: (Host) -> List[str]
    return [
        "%s has its password in /etc/passwd" % a["name"] for a in passwd(host) if a["password"] not in ("x", "*", "!")
    ]


def _other_roots(host):
    # type: (Host) -> List[str]
    return ["%s has uid 0" % a["name"] for a in passwd(host) if a["uid"] == "0" and a["name"] != "root"]


def _root_group(host):
    # type: (Host) -> List[str]
    return ["root's group is %s" % a["gid"] for a in passwd(host) if a["name"] == "root" and a["gid"] != "0"]


def _unknown_groups(host):
    # type: (Host) -> List[str]
    known = {group["gid"] for group in groups(host)}
    return [
        "%s is in group %s, which does not exist" % (a["name"], a["gid"]) for a in passwd(host) if a["gid"] not in known
    ]


def _future_changes(host):
    # type: (Host) -> List[str]
    today = int(time.time() // 86400)
    rows = [(row[0], number(row[2])) for row in shadow(host) if has_password(row[1])]
    late = [user for user, day in rows if day is not None and day > today + 1]
    return ["%s changed the password in the future" % user for user in late]


def _missing_homes(host):
    # type: (Host) -> List[str]
    people = [a for a in passwd(host) if int(a["uid"]) >= 1000 and a["shell"] not in NO_LOGIN]
    return [
        "%s's home %s does not exist" % (a["name"], a["home"]) for a in people if host.system.stat(a["home"]) is None
    ]


def homes(host):
    # type: (Host) -> List[Home]
    """The homes of the people who log in, where they exist; several people may have one."""
    rows = [a for a in passwd(host) if int(a["uid"]) >= 1000 and a["shell"] not in NO_LOGIN and a["home"] != "/"]
    there = [(row, host.system.stat(row["home"])) for row in rows]
    return [Home(host, row, found) for row, found in there if found is not None]


class Home(object):
    """A person's home directory: ``mode``, ``owner``, and the ``reason`` why others may need it, '' if none."""

    def __init__(self, host, row, there):
        # type: (Host, Dict[str, str], Dict[str, Any]) -> None
        self.user, self.path, self.mode, self.owner = row["name"], row["home"], there["mode"], there["owner"]
        self.reason = self._why_others_need_it(host, row, there)

    @property
    def closable(self):
        # type: () -> bool
        return not self.reason and self.mode & ~HOME_MODE & 0o777 != 0

    def _why_others_need_it(self, host, row, there):
        # type: (Host, Dict[str, str], Dict[str, Any]) -> str
        # Where a link leads counts, and so does a directory that somebody else's home is in.
        real = _real(host, self.path)
        around = [a for a in passwd(host) if a["name"] != self.user and a["home"].startswith("/")]
        inside = sorted(a["name"] for a in around if (_real(host, a["home"]) + "/").startswith(real + "/"))
        own_group = [g["name"] for g in groups(host) if g["gid"] == row["gid"]] + [row["gid"]]
        shared = self.mode & 0o1000 or (there["group"] not in own_group and self.mode & 0o2020)
        reasons = (
            (there["kind"] != "directory", "it is no directory"),
            (self.owner != self.user, "it belongs to %s" % self.owner),
            (inside, "the home of %s is in it" % ", ".join(inside)),
            (shared, "it is shared: %04o %s:%s" % (self.mode, self.owner, there["group"])),
            (host.uses("mounts", self.path) or host.uses("mounts", real), "it is declared in use"),
            (not _is_a_place_for_homes(real, self.user), "it is a directory of the system or of a service"),
        )
        return next((reason for applies, reason in reasons if applies), "")


def _real(host, path):
    # type: (Host, str) -> str
    return os.path.realpath(host.system.real(path))[len(host.system.root) :] or "/"


def _is_a_place_for_homes(path, user):
    # type: (str, str) -> bool
    """Below /home any directory is; elsewhere, outside the system's own directories, one that has the user's name."""
    parts = path.split("/")
    if parts[1] == "home":
        return len(parts) > 2
    return len(parts) > 2 and parts[1] not in SYSTEM_DIRECTORIES and parts[-1] == user


def _open_homes(host):
    # type: (Host) -> List[str]
    return [
        "%s's home %s can be used by others: %04o%s"
        % (
            home.user,
            home.path,
            home.mode,
            home.reason and "; it is left, because %s: give %s a home of its own" % (home.reason, home.user),
        )
        for home in homes(host)
        if home.mode & 0o027
    ]


def _homes_of_others(host):
    # type: (Host) -> List[str]
    return [
        "%s's home %s belongs to %s" % (home.user, home.path, home.owner)
        for home in homes(host)
        if home.owner != home.user
    ]


def _legacy_entries(host):
    # type: (Host) -> List[str]
    paths = ("/etc/passwd", "/etc/shadow", "/etc/group")
    return [
        "%s has an entry for NIS: +" % path for path in paths if re.search(r"(?m)^\+", host.system.read(path) or "")
    ]


def _old_hashes(host):
    # type: (Host) -> List[str]
    good = ("$5$", "$6$", "$y$", "$2b$", "$7$", "$gy$")
    return [
        "%s's password has a weak hash" % row[0]
        for row in shadow(host)
        if has_password(row[1]) and not row[1].startswith(good)
    ]


def _secondary_roots(host):
    # type: (Host) -> List[str]
    rows = groups(host)
    return ["group %s has gid 0" % row["name"] for row in rows if row["gid"] == "0" and row["name"] != "root"]


def _root_password(host):
    # type: (Host) -> List[str]
    """root has a hash or is locked (CIS asks for a password; a host without a console that takes one is better off without)."""
    fields = [row[1] for row in shadow(host) if row[0] == "root"]
    return [
        "root has neither a password nor a lock"
        for field in fields
        if not has_password(field) and field[:1] not in ("!", "*")
    ]


def login_users(host):
    # type: (Host) -> List[str]
    """Who may have to log in: users with a shell that the playbook declared in use, and whoever else has keys of their own."""
    people = [a for a in passwd(host) if int(a["uid"]) > 0 and a["shell"] not in NO_LOGIN]
    return [
        a["name"]
        for a in people
        if host.uses("users", a["name"]) or any(has_keys(host, path) for path in keys_of(host, a))
    ]


CHECKS = {
    "root_password": _root_password,
    "duplicate_uids": _duplicates("passwd", "uid"),
    "duplicate_users": _duplicates("passwd", "name"),
    "duplicate_gids": _duplicates("group", "gid"),
    "duplicate_groups": _duplicates("group", "name"),
    "empty_passwords": _empty_passwords,
    "unshadowed": _unshadowed,
    "other_roots": _other_roots,
    "root_group": _root_group,
    "unknown_groups": _unknown_groups,
    "future_changes": _future_changes,
    "missing_homes": _missing_homes,
    "open_homes": _open_homes,
    "homes_of_others": _homes_of_others,
    "legacy_entries": _legacy_entries,
    "old_hashes": _old_hashes,
    "secondary_roots": _secondary_roots,
}
