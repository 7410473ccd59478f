# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of file systems of their own: what is mounted now, and what the next boot will mount."""

from __future__ import absolute_import, division, print_function

import re

from ..._host.errors import HostError
from ..._host.text import lines_of
from ..compare import text
from .base import Found, NotApplicableError, Resource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    from ..host import Host  # noqa: F401

FSTAB = "/etc/fstab"
MOUNTS = "/proc/self/mounts"
DROP_IN = "zz-fleet-hardening.conf"
BUILT_IN = {"/dev/shm": ["nosuid", "nodev"]}  # noqa: S108 - the mount point itself
"""What systemd itself mounts before it reads fstab(5), and how."""
FLAGS = ("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime")
_BY_USERS = ("noexec", "nosuid", "nodev")
IMPLIED = {"user": _BY_USERS, "users": _BY_USERS, "owner": _BY_USERS[1:], "group": _BY_USERS[1:]}
"""What an option means for those that controls ask for; see mount(8)."""


class Mount(Resource):
    """Options that a file system of its own must be mounted with, now and at the next boot."""

    name = "mount"
    fields = {"path": "text!", "options": "texts!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        path = state["path"]
        if host.uses("mounts", path):
            raise NotApplicableError("in use: mount %s was declared by the playbook" % path)
        now = _mounted(host, path)[3].split(",")
        place, at_boot = configured(host, path)
        values = {}  # type: Dict[str, Any]
        for option in listed(state["options"]):
            values[option + " now"] = text(is_set(now, option))
            values[option + " at boot"] = text(is_set(at_boot, option))
        beyond = {}
        if host.container and not place:
            beyond = dict.fromkeys(values, "mounts of a container are made by its host")
        return Found(values, beyond)

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        path = state["path"]
        missing = [what.split(" ", 1) for what, value in sorted(found.values.items()) if value != "yes"]
        at_boot = [option for option, when in missing if when == "at boot"]
        now = [option for option, when in missing if when == "now"]
        if at_boot:
            configure(host, path, at_boot)
        if now:
            # Of the mount alone ("bind"), with all it has now: mount(8) would take what is not named from fstab(5).
            kept = [word for word in _mounted(host, path)[3].split(",") if word in FLAGS]
            argv = ["mount", "-o", ",".join(["remount", "bind"] + kept + now), path]
            host.system.do(argv, "cannot remount %s with %s" % (path, ",".join(now)))


def _mounted(host, path):
    # type: (Host, str) -> List[str]
    """The fields of /proc/mounts about the path."""
    fields = entry(host.system.read(MOUNTS) or "", path)
    if fields is None:
        raise NotApplicableError("%s is not a file system of its own" % path)
    return fields


def configured(host, path):
    # type: (Host, str) -> Tuple[str, List[str]]
    """(where the mount is described: a file or '', the options that the next boot will mount it with)."""
    unit = unit_name(path)
    own = "/etc/systemd/system/" + unit
    line = entry(host.system.read(FSTAB) or "", path)
    # systemd makes units of fstab(5); they come after those of /etc and before those of packages.
    if host.system.read(own):
        place, options = own, _unit_options(host, own)
    elif line is not None:
        place, options = FSTAB, line[3].split(",")
    elif host.system.read("/usr/lib/systemd/system/" + unit):
        place = "/usr/lib/systemd/system/" + unit
        options = _unit_options(host, place)
    else:
        place, options = "", list(BUILT_IN.get(path, []))
    for drop_in in _drop_ins(host, unit):
        options = _unit_options(host, drop_in) or options
        place = place or drop_in
    return place, options


def configure(host, path, options):
    # type: (Host, str, List[str]) -> None
    """Have the next boot mount ``path`` with the options too, where its mount is described."""
    place, before = configured(host, path)
    unit = unit_name(path)
    if place and (place != FSTAB or _drop_ins(host, unit)):
        content = "[Mount]\nOptions=%s\n" % ",".join(with_options(before, options))
        host.system.write("/etc/systemd/system/%s.d/%s" % (unit, DROP_IN), content)
    elif place:
        host.system.write(FSTAB, with_entry(host.system.read(FSTAB) or "", path, options))
    elif _mounted(host, path)[2] == "tmpfs":
        line = "\t".join(["tmpfs", path, "tmpfs", ",".join(with_options(["defaults"] + before, options)), "0", "0"])
        content = host.system.read(FSTAB) or ""
        host.system.write(FSTAB, content + ("" if content.endswith("\n") or not content else "\n") + line + "\n")
    else:
        raise HostError(
            "neither %s nor a unit %s says how %s is mounted: add its entry to %s with %s"
            % (FSTAB, unit, path, FSTAB, ",".join(options))
        )
    host.later("daemon-reload", "")


def unit_name(path):
    # type: (str) -> str
    """systemd's name for the mount of a path. Pure."""
    parts = path.strip("/").split("/")
    escaped = [re.sub(r"[^A-Za-z0-9:_.]", lambda match: "\\x%02x" % ord(match.group()), part) for part in parts]
    return "-".join(escaped) + ".mount"


def _drop_ins(host, unit):
    # type: (Host, str) -> List[str]
    """The unit's drop-ins that set its options, in the order in which systemd reads them."""
    folders = ["%s/systemd/system/%s.d" % (place, unit) for place in ("/usr/lib", "/run", "/etc")]
    return [path for path in host.system.layered(*folders) if _unit_options(host, path)]


def _unit_options(host, path):
    # type: (Host, str) -> List[str]
    """The options in a mount unit or drop-in: the last line counts."""
    lines = re.findall(r"(?m)^\s*Options\s*=\s*(.*?)\s*$", host.system.read(path) or "")
    return lines[-1].split(",") if lines else []


def entry(table, path):
    # type: (str, str) -> Optional[List[str]]
    """The fields of the last line for ``path`` in a text of fstab(5) or /proc/mounts. Pure."""
    rows = [line.split() for line in lines_of(table) if not line.lstrip().startswith("#")]
    found = [row for row in rows if len(row) > 3 and (row[1].rstrip("/") or "/") == path]
    return found[-1] if found else None


def is_set(options, option):
    # type: (List[str], str) -> bool
    """Whether ``option`` (nodev, nosuid, noexec) is what the list comes to: the last word about it counts. Pure."""
    result = False
    for word in options:
        if word == option or option in IMPLIED.get(word, ()):
            result = True
        elif word == option[len("no") :] or word == "defaults":
            result = False
    return result


def with_options(options, more):
    # type: (List[str], List[str]) -> List[str]
    """The list, so that each of ``more`` is set. Pure."""
    contrary = [option[len("no") :] for option in more]
    kept = [word for word in options if word not in contrary]
    return kept + [option for option in more if not is_set(kept, option)]


def with_entry(fstab, path, options):
    # type: (str, str, List[str]) -> str
    """fstab(5) with the options added to the entry of ``path``. Pure."""
    last, lines = entry(fstab, path), lines_of(fstab)
    for number, line in enumerate(lines):
        row = line.split()
        if last is not None and row == last and not line.lstrip().startswith("#"):
            row[3] = ",".join(with_options(row[3].split(","), options))
            lines[number] = "\t".join(row)
    return "\n".join(lines) + "\n"
