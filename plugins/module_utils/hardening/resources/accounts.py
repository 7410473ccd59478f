"""Accounts: password ageing, shells, empty passwords, the lists themselves."""

from __future__ import absolute_import, division, print_function

import re
import time

from ..compare import difference
from ..system import HardeningError
from ..textfile import accounts, groups, without_comments
from .base import Found, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Tuple  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

NO_LOGIN = ("/sbin/nologin", "/usr/sbin/nologin", "/bin/false", "/usr/bin/false")
ALLOWED_SYSTEM_SHELLS = ("/bin/sync", "/sbin/shutdown", "/sbin/halt")
AGEING = {"minimum_days": (3, "-m"), "maximum_days": (4, "-M"), "warn_days": (5, "-W"), "inactive_days": (6, "-I")}
"""Name -> (field of shadow(5) from 0, option of chage(1))."""


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
            days = int(value) if value not in (None, "") else -1
            good = 0 <= days <= state["days"] if state["at_most"] else days >= state["days"]
            if not good:
                result.append(difference("%s %s" % (user, state["field"]), "%s %d" % (sign, state["days"]), value))
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        option = AGEING[state["field"]][1]
        for what, _wanted, _found in self.diff(state, found):
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
        wanted = NO_LOGIN[0] if state["want"] == "shell" else "locked"
        return [difference(user, wanted, value) for user, value in sorted(found.values.items()) if value not in good]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        for user, wanted, _found in self.diff(state, found):
            change_account(
                host, ["usermod", "-s", wanted, user] if state["want"] == "shell" else ["usermod", "-L", user]
            )


class EmptyGroup(Resource):
    """The group ``group`` exists and nobody is in it: what is allowed to its members is allowed to nobody."""

    name = "empty_group"
    guard = "accounts"
    fields = {"group": "text!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        rows = [row for row in groups(host.system.read("/etc/group") or "") if row["name"] == state["group"]]
        if not rows:
            return Found({"group " + state["group"]: None})
        people = [name for name in rows[0]["members"].split(",") if name]
        people += [a["name"] for a in passwd(host) if a["gid"] == rows[0]["gid"] and a["name"] not in people]
        return Found({"group " + state["group"]: ", ".join(people) or "empty"})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        return [difference(what, "empty", value) for what, value in found.values.items() if value != "empty"]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        members = found.values["group " + state["group"]]
        if members is None:
            return change_account(host, ["groupadd", "-r", state["group"]])
        for user in members.split(", "):
            change_account(host, ["gpasswd", "-d", user, state["group"]])
        return None


class AccountList(Resource):
    """What must hold for the lists of accounts and groups. Only what has one safe answer is changed; the rest needs a person."""

    name = "account_list"
    guard = "accounts"
    fields = {"check": "word!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        check = CHECKS[state["check"]]
        return Found(dict.fromkeys(check(host), "found"))

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        return [difference(problem, "none", "found") for problem in sorted(found.values)]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        if state["check"] == "empty_passwords":
            for problem in sorted(found.values):
                change_account(host, ["passwd", "-l", problem.split()[0]])
        elif state["check"] == "root_group":
            change_account(host, ["usermod", "-g", "0", "root"])
        elif state["check"] == "unshadowed":
            change_account(host, ["pwconv"])
        elif state["check"] == "open_homes":
            for _user, home, there in homes(host):
                host.system.set_attributes(home, mode=there["mode"] & 0o750)
        else:
            raise HardeningError("needs a person: which of them is right can't be known here")


def shadow(host):
    # type: (Host) -> List[List[str]]
    """The fields of every line of shadow(5)."""
    rows = [line.split(":") for line in (host.system.read("/etc/shadow") or "").splitlines()]
    return [row for row in rows if len(row) >= 8]


def has_password(field):
    # type: (str) -> bool
    """Whether a hash is there that somebody could know the password to."""
    return field.startswith("$") or field.startswith("_") or (len(field) == 13 and field[0] not in "!*")


def passwd(host):
    # type: (Host) -> List[Dict[str, str]]
    return accounts(host.system.read("/etc/passwd") or "")


def system_accounts(host):
    # type: (Host) -> List[Dict[str, str]]
    """Accounts below the first person's id, less root and those declared in use."""
    return [a for a in passwd(host) if 0 < int(a["uid"]) < 1000 and not host.uses("users", a["name"])] + [
        a for a in passwd(host) if a["name"] in ("nobody", "nfsnobody") and int(a["uid"]) >= 1000
    ]


def change_account(host, argv):
    # type: (Host, List[str]) -> None
    """Run a program that changes the lists of accounts; they can be restored afterwards."""
    for path in ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"):
        host.system.keep(path)
    done = host.system.run(argv)
    if done.code != 0:
        raise HardeningError("%s: %s" % (" ".join(argv), done.said or "ended with %d" % done.code))


def _repeated(names):
    # type: (List[str]) -> List[str]
    return sorted({name for name in names if names.count(name) > 1})


def _duplicates(what, field):
    # type: (str, str) -> Any
    def check(host):
        # type: (Host) -> List[str]
        rows = passwd(host) if what == "passwd" else groups(host.system.read("/etc/group") or "")
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
    known = {group["gid"] for group in groups(host.system.read("/etc/group") or "")}
    return [
        "%s is in group %s, which does not exist" % (a["name"], a["gid"]) for a in passwd(host) if a["gid"] not in known
    ]


def _future_changes(host):
    # type: (Host) -> List[str]
    today = int(time.time() // 86400)
    rows = [row for row in shadow(host) if has_password(row[1]) and row[2].isdigit()]
    return ["%s changed the password in the future" % row[0] for row in rows if int(row[2]) > today + 1]


def _missing_homes(host):
    # type: (Host) -> List[str]
    people = [a for a in passwd(host) if int(a["uid"]) >= 1000 and a["shell"] not in NO_LOGIN]
    return [
        "%s's home %s does not exist" % (a["name"], a["home"]) for a in people if host.system.stat(a["home"]) is None
    ]


def homes(host):
    # type: (Host) -> List[Tuple[str, str, Dict[str, Any]]]
    """(user, home, its attributes) of the people who log in, where it exists."""
    people = [a for a in passwd(host) if int(a["uid"]) >= 1000 and a["shell"] not in NO_LOGIN]
    there = [(a["name"], a["home"], host.system.stat(a["home"])) for a in people if a["home"] != "/"]
    return [(name, home, found) for name, home, found in there if found is not None]


def _open_homes(host):
    # type: (Host) -> List[str]
    return [
        "%s's home %s can be used by others: %04o" % (name, home, there["mode"])
        for name, home, there in homes(host)
        if there["mode"] & 0o027
    ]


def _homes_of_others(host):
    # type: (Host) -> List[str]
    return [
        "%s's home %s belongs to %s" % (name, home, there["owner"])
        for name, home, there in homes(host)
        if there["owner"] != name
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
    rows = groups(host.system.read("/etc/group") or "")
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
        if host.uses("users", a["name"]) or holds_keys(host, a["home"] + "/.ssh/authorized_keys")
    ]


def holds_keys(host, path):
    # type: (Host, str) -> bool
    """Whether the file has a line that is no comment: sshd takes it for a key."""
    return bool(without_comments(host.system.read(path) or ""))


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
