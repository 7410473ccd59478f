# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts, groups and sudo's rules: reading passwd(5), shadow(5) and group(5), and changing them so that it can be undone."""

from __future__ import absolute_import, division, print_function

import re

from .encoding import encoded
from .files import discard
from .text import lines_of, without_comments

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Union  # noqa: F401

    from .host import Host  # noqa: F401

NUMBER = re.compile(r"[ \t]*\+?[0-9]+\Z")
NO_LOGIN = ("/sbin/nologin", "/usr/sbin/nologin", "/bin/false", "/usr/bin/false")


def shadow(host):
    # type: (Host) -> List[List[str]]
    """The nine fields of every line of shadow(5); the last ones may be missing there."""
    rows = [_fields(line, 9) for line in _entries(host.system.read("/etc/shadow") or "") if line.count(":") >= 4]
    return [row for row in rows if row[0]]


def has_password(field):
    # type: (str) -> bool
    """Whether a hash is there that somebody could know the password to."""
    return field.startswith("$") or field.startswith("_") or (len(field) == 13 and field[0] not in "!*")


def passwd(host):
    # type: (Host) -> List[Dict[str, str]]
    return passwd_entries(host.system.read("/etc/passwd") or "")


def change_account(host, argv):
    # type: (Host, List[str]) -> None
    """Run a program that changes the lists of accounts; they can be restored afterwards."""
    for path in ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"):
        host.system.keep(path)
    host.system.do(argv)


def has_keys(host, path):
    # type: (Host, str) -> bool
    """Whether the file has a line that is no comment: sshd takes it for a key."""
    return bool(without_comments(host.system.read(path) or ""))


def groups(host):
    # type: (Host) -> List[Dict[str, str]]
    return group_entries(host.system.read("/etc/group") or "")


def write_sudoers(host, path, content):
    # type: (Host, str, Union[str, bytes]) -> None
    """Write a sudoers file that visudo has accepted where it will be: what it includes may be named from there."""
    staged = host.system.stage(path, encoded(content))
    try:
        host.system.do(["visudo", "-cf", staged], "visudo refuses what was to be written to " + path)
    finally:
        discard(staged)
    host.system.write(path, content, 0o440)


def passwd_entries(text):
    # type: (str) -> List[Dict[str, str]]
    """The entries of a passwd(5) text; ``uid`` and ``gid`` as numbers are written, whatever zeros and signs stand there."""
    names = ("name", "password", "uid", "gid", "comment", "home", "shell")
    rows = [dict(zip(names, _fields(line, 7))) for line in _entries(text)]
    return [_numbered(row, "uid", "gid") for row in rows if row["name"] and _are_numbers(row["uid"], row["gid"])]


def group_entries(text):
    # type: (str) -> List[Dict[str, str]]
    """The entries of a group(5) text; ``members`` is comma-separated."""
    names = ("name", "password", "gid", "members")
    rows = [dict(zip(names, _fields(line, 4))) for line in _entries(text)]
    return [_numbered(row, "gid") for row in rows if row["name"] and _are_numbers(row["gid"])]


def _entries(text):
    # type: (str) -> List[str]
    """The lines that the C library takes for entries, see _fields; one with a NUL in it is none.

    Nobody is found by a name of NIS's lines ("+::", "-bob:x:0:0", "+@net") either (nss/nss_files/files-pwd.c, DB_LOOKUP).
    """
    found = [line.lstrip(" \t") for line in lines_of(text)]
    return [line for line in found if line and line[0] not in "#+-" and "\0" not in line]


def _fields(line, count):
    # type: (str, int) -> List[str]
    """The fields as the C library has them (glibc, nss/nss_files/files-parse.c and pwd/fgetpwent_r.c).

    Those that are missing at the end are empty, and the last one is all that is left: `toor:x:0:0` is an account.
    """
    found = line.split(":", count - 1)
    return found + [""] * (count - len(found))


def _are_numbers(*texts):
    # type: (*str) -> bool
    """What strtoul(3) takes whole, less what is negative. NIS's "+" has no number."""
    return all(NUMBER.match(text) for text in texts)


def _numbered(row, *names):
    # type: (Dict[str, str], *str) -> Dict[str, str]
    return dict(row, **{name: "%d" % int(row[name]) for name in names})
