# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in the file systems of the disk: one walk for all controls that ask."""

from __future__ import absolute_import, division, print_function

import grp
import os
import pwd
import re
import stat as modes
import time

from ..._host.encoding import name
from ..._host.errors import HostError
from ..._host.text import lines_of
from .base import Found, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, List, Tuple  # noqa: F401

    from ..host import Host  # noqa: F401

CHECKS = ("world_writable", "not_sticky", "unowned", "ungrouped", "set_id", "devices", "open_logs")
FOREIGN = ("/proc", "/sys", "/run", "/var/lib/docker", "/var/lib/containers", "/var/lib/containerd")
"""Not walked: of the kernel, gone at the next boot, or other systems' files with other systems' users."""
DISKS = ("ext2", "ext3", "ext4", "xfs", "btrfs")
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - looked at, not written
LOGS = "/var/log/"
LOG_MODE, RECORD_MODE = 0o640, 0o664
RECORDS = re.compile(r"/(lastlog|wtmp|btmp)([.-].*)?$")
"""Who was logged in: programs of everybody read these."""
LIMIT_SECONDS = 20.0
SHOWN = 200


def _log_mode(path, mode):
    # type: (str, int) -> int
    return mode & (RECORD_MODE if RECORDS.search(path) else LOG_MODE)


def _is_open(host, path, mode):
    # type: (Host, str, int) -> bool
    """Whether somebody gets at the log: what others may do means nothing in a directory that is closed to them."""
    parts = path.split("/")
    folders = [host.system.stat("/".join(parts[:depth])) for depth in range(4, len(parts))]
    closed = any(folder is not None and not folder["mode"] & 0o001 for folder in folders)
    return bool((mode & ~_log_mode(path, mode)) & (0o7770 if closed else 0o7777))


SAFE = {
    "world_writable": lambda _path, mode: mode & ~0o002,
    "not_sticky": lambda _path, mode: mode | modes.S_ISVTX,
    "open_logs": _log_mode,
}  # type: Dict[str, Callable[[str, int], int]]
"""What can be set: check -> (path, mode now) to the mode that it should have."""


class FileWalk(Resource):
    """``check``: one of CHECKS. What has one safe answer (a permission too many) is set; who owns a file takes a person."""

    name = "file_walk"
    desired = "none"
    fields = {"check": "word!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        found = _wrong(host, state["check"])
        more = [("and %d more" % (len(found) - SHOWN), "not listed here")] if len(found) > SHOWN else []
        return Found(dict(found[:SHOWN] + more))

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        if state["check"] not in SAFE:
            raise HostError("needs a person: who the file belongs to or what it is for can't be known here")
        for path, _what in _wrong(host, state["check"]):
            try:
                there = os.lstat(host.system.real(path))
            except OSError:  # gone again
                continue
            if not modes.S_ISLNK(there.st_mode):
                host.system.set_attributes(path, mode=SAFE[state["check"]](path, modes.S_IMODE(there.st_mode)))
        host.system.forget("walk")


def _wrong(host, check):
    # type: (Host, str) -> List[Tuple[str, str]]
    found = host.system.cached("walk", lambda: walk(host))[check]
    if check == "set_id":
        return _unpackaged(host, found)
    if check == "open_logs":
        return [(path, mode) for path, mode in found if _is_open(host, path, int(mode, 8))]
    return found


def walk(host):
    # type: (Host) -> Dict[str, List[Tuple[str, str]]]
    """Check -> (path, what is wrong with it). Raises HostError when it takes too long: half a look is no result."""
    result = {check: [] for check in CHECKS}  # type: Dict[str, List[Tuple[str, str]]]
    known = ({entry.pw_uid for entry in pwd.getpwall()}, {entry.gr_gid for entry in grp.getgrall()})
    others = {row[1] for row in host.mounts()}
    deadline, todo = time.time() + LIMIT_SECONDS, _roots(host)
    while todo:
        folder = todo.pop()
        if time.time() > deadline:
            raise HostError(
                "the walk through the files took more than %d s and stopped at %s" % (LIMIT_SECONDS, folder)
            )
        for entry, there in _entries(host.system.real(folder)):
            path = folder.rstrip("/") + "/" + name(entry)
            if modes.S_ISDIR(there.st_mode) and path not in others and path not in FOREIGN:
                todo.append(path)
            if path not in others:
                _check(path, there, known, result)
    return result


def _roots(host):
    # type: (Host) -> List[str]
    """/ and every other file system of a disk, of the kind of / (a container's is an overlay), or for temporary files."""
    roots = ["/"]
    rows = [row[1:4] for row in host.mounts()]
    disks = set(DISKS).union(kind for path, kind, _options in rows if path == "/")
    for path, kind, options in rows:
        own = kind in disks or (kind == "tmpfs" and path in TEMPORARY)
        hidden = any(path == folder or path.startswith(folder + "/") for folder in FOREIGN)
        if own and not hidden and "ro" not in options.split(",") and path not in roots and host.system.exists(path):
            roots.append(path)
    return roots


def _entries(folder):
    # type: (str) -> List[Tuple[str, os.stat_result]]
    """What is in the directory, as the system names it. Files come and go during a walk: what is gone again is left out."""
    result = []  # type: List[Tuple[str, os.stat_result]]
    try:
        names = os.listdir(folder)
    except OSError:
        return result
    for entry in names:
        try:
            result.append((entry, os.lstat(folder + "/" + entry)))
        except OSError:
            continue
    return result


def _check(path, there, known, result):
    # type: (str, os.stat_result, Tuple[Any, Any], Dict[str, List[Tuple[str, str]]]) -> None
    mode, shown = there.st_mode, "%04o" % modes.S_IMODE(there.st_mode)
    if there.st_uid not in known[0]:
        result["unowned"].append((path, "uid %d, which no account has" % there.st_uid))
    if there.st_gid not in known[1]:
        result["ungrouped"].append((path, "gid %d, which no group has" % there.st_gid))
    if modes.S_ISREG(mode):
        if mode & 0o002:
            result["world_writable"].append((path, shown))
        if mode & 0o6000:
            result["set_id"].append((path, shown))
        if path.startswith(LOGS) and _log_mode(path, mode & 0o7777) != mode & 0o7777:
            result["open_logs"].append((path, shown))
    elif modes.S_ISDIR(mode):
        if mode & 0o002 and not mode & modes.S_ISVTX:
            result["not_sticky"].append((path, shown))
    elif (modes.S_ISBLK(mode) or modes.S_ISCHR(mode)) and not path.startswith("/dev/") and there.st_rdev:
        result["devices"].append((path, "a device"))


def set_id_programs(host):
    # type: (Host) -> List[str]
    """The programs whose set-id bits give rights: not those on file systems that ignore the bits or run nothing."""
    mounts = host.mounts()
    powerless = {row[1].rstrip("/") + "/": bool({"nosuid", "noexec"} & set(row[3].split(","))) for row in mounts}

    def works(path):
        # type: (str) -> bool
        around = [folder for folder in powerless if path.startswith(folder)]
        return not (around and powerless[max(around, key=len)])

    found = host.system.cached("walk", lambda: walk(host))["set_id"]
    return sorted(path for path, _what in found if works(path))


def _unpackaged(host, found):
    # type: (Host, List[Tuple[str, str]]) -> List[Tuple[str, str]]
    """Those that no package has brought: a package's own were reviewed by who made it."""
    odd = [item for item in found if "\n" in item[0]]  # rpm answers a line for each, and no package has such a name
    found = [item for item in found if item not in odd]
    if not found:
        return odd

    def query():
        # type: () -> List[str]
        names = [path for path, _what in found]
        return lines_of(host.system.run(["rpm", "-qf", "--qf", "%{NAME}\n"] + names, timeout=60).out)

    owners = host.system.cached("owners of %s" % " ".join(path for path, _what in found), query)
    if len(owners) != len(found):
        raise HostError("Cannot tell which packages have brought the programs with set-id bits: rpm -qf failed")
    return odd + [item for item, owner in zip(found, owners) if " " in owner]
