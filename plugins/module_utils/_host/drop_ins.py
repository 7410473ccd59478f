# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files programs with drop-ins read, and in what order: what the last one says is what they go by.

Runs on the hosts, under Python 2.7 and 3.7+. `systemd-analyze cat-config` shows the same, from systemd 239 on; Amazon Linux 2 has 219.
"""

from __future__ import absolute_import, division, print_function

import re

from .text import entries, get, lines_of, without_comments

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Optional, Tuple  # noqa: F401

    from .system import System  # noqa: F401

FOLDERS = ("/usr/lib", "/usr/local/lib", "/run", "/etc")
"""A file replaces those of its name in the folders before it ("sysctl.d", "systemd-system.conf", man pages of systemd)."""
SYSTEMD = re.compile(r"^/etc/(systemd/[^/*]+\.conf)\.d/[^/]+\.conf$")
"""A drop-in of one of systemd's own programs, or the pattern of them."""
SYSCTL_LATEST = "/etc/sysctl.conf"


CHRONY = "/etc/chrony.conf"
RSYSLOG = "/etc/rsyslog.conf"
RSYSLOG_INCLUDE = re.compile(r"""(?i)^\s*(?:\$IncludeConfig\s+(\S+)|include\s*\([^)]*?\bfile\s*=\s*["']([^"']+)["'])""")
"""rsyslog.conf(5), "Include": the old form, where a folder means all in it, and the new one."""
DEEPEST = 10
LIMITS_DROP_IN = re.compile(r"^/etc/security/limits\.d/[^/]+\.conf$")


def files_read(system, pattern):
    # type: (System, str) -> List[str]
    """The files that are there for a path or a pattern, with those that a program's main file includes."""
    if pattern == CHRONY:
        return chrony_files(system)
    return rsyslog_files(system) if pattern == RSYSLOG else system.glob(pattern)


def rsyslog_files(system, path=RSYSLOG, within=()):
    # type: (System, str, Tuple[str, ...]) -> List[str]
    """What rsyslogd reads: its file and those that it includes, each where it is included. ``within``: the files that include this one."""
    if path in within or len(within) > DEEPEST:
        return []
    found = system.glob(path)
    for line in lines_of(system.read(path) or "") if found else []:
        include = RSYSLOG_INCLUDE.match(line)
        pattern = (include.group(1) or include.group(2)) if include else ""
        included = system.glob(pattern + "*" if pattern.endswith("/") else pattern) if pattern else []
        found += [each for other in included for each in rsyslog_files(system, other, within + (path,))]
    return found


def chrony_files(system, path=CHRONY, within=()):
    # type: (System, str, Tuple[str, ...]) -> List[str]
    """What chronyd reads, in its order: include takes a pattern; confdir and sourcedir take folders, of which the first with a name counts.

    ``within``: the files that include this one. Commands have any case, and may stand after blanks (chrony.conf(5); CNF_ReadFile and
    search_dirs in chrony's conf.c).
    """
    if path in within or len(within) > DEEPEST:
        return []
    found = system.glob(path)
    for line in lines_of(system.read(path) or "") if found else []:
        words = line.split()
        command, given = (words[0].lower(), words[1:]) if words else ("", [])
        included = []  # type: List[str]
        if command == "include":
            included = [each for pattern in given[:1] for each in system.glob(pattern)]
        elif command in ("confdir", "sourcedir"):
            suffix = "/*.conf" if command == "confdir" else "/*.sources"
            paths = [each for folder in reversed(given) for each in system.glob(folder.rstrip("/") + suffix)]
            by_name = {_name(each): each for each in paths}
            included = [by_name[name] for name in sorted(by_name)]
        found += [each for other in included for each in chrony_files(system, other, within + (path,))]
    return found


def limits_of(content):
    # type: (str) -> Dict[str, str]
    """{domain, type and item in one text: value} of limits.conf(5); a type of "-" is both. Types and items have any case (pam_limits.c)."""
    found = {}  # type: Dict[str, str]
    for line in without_comments(content):
        words = line.partition("#")[0].split()
        if len(words) >= 4:  # what comes after the value is passed over
            for kind in ("soft", "hard") if words[1] == "-" else (words[1].lower(),):
                found["%s %s %s" % (words[0], kind, words[2].lower())] = words[3]
    return found


def systemd_drop_ins(system, pattern, ours=None):
    # type: (System, str, Optional[str]) -> List[str]
    """The drop-ins by name, wherever they lie. `pattern`: like SYSTEMD; `ours`: one in /etc that counts though it may not be there yet."""
    return _by_name(system, SYSTEMD.sub(r"\1.d", pattern), ours)


def sysctl_files(system, ours=None):
    # type: (System, Optional[str]) -> List[str]
    """In the order in which sysctl --system reads them; sysctl.conf last."""
    return _by_name(system, "sysctl.d", ours) + [SYSCTL_LATEST]


def _by_name(system, folder, ours):
    # type: (System, str, Optional[str]) -> List[str]
    """The files that count in a folder below each of FOLDERS, `ours` among them, in the order of their names."""
    chosen = {_name(path): path for path in system.layered(*["%s/%s" % (place, folder) for place in FOLDERS])}
    if ours:
        chosen[_name(ours)] = ours
    return [chosen[name] for name in sorted(chosen)]


def sysctl_value(content, name):
    # type: (str, str) -> Optional[str]
    """What the text sets a kernel parameter to; its name may be written with dots or slashes."""
    pattern = r"^-?%s\s*=\s*(.*)$" % "[./]".join(re.escape(part) for part in re.split("[./]", name))
    found = [re.match(pattern, line) for line in without_comments(content)]
    values = [match.group(1).strip() for match in found if match]
    return values[-1] if values else None


def in_etc(path):
    # type: (str) -> str
    """Where a file of the same name lies that replaces this one: a package's, or one of this boot, is never edited."""
    return next(("/etc" + path[len(folder) :] for folder in FOLDERS if path.startswith(folder + "/")), path)


def overridden(system, path, content):
    # type: (System, str, str) -> List[str]
    """What of our drop-in does not count, because a file that is read after it sets it otherwise: a sentence for each.

    `path`: of ours, in /etc/sysctl.d, /etc/security/limits.d or a folder like SYSTEMD; `content`: what it says or will say.
    """
    if LIMITS_DROP_IN.match(path):
        return _sentences(path, _limits_set_otherwise(system, path, content))
    of_sysctl = SYSTEMD.match(path) is None
    order = sysctl_files(system, path) if of_sysctl else systemd_drop_ins(system, path, path)
    later = order[order.index(path) + 1 :]
    found = {}  # type: Dict[str, Tuple[str, str]]
    for other in later:
        text = system.read(other) or ""
        for section, key, value in entries(content):
            theirs = sysctl_value(text, key) if of_sysctl else get(text, key, section)
            if theirs is not None:
                found[key] = (other, theirs)
            if theirs is not None and theirs.split() == value.split():
                del found[key]
    return _sentences(path, found)


def _limits_set_otherwise(system, path, content):
    # type: (System, str, str) -> Dict[str, Tuple[str, str]]
    """Those of our limits that a later file sets otherwise for the same domain: limits.conf, then limits.d by name in the C locale."""
    later = [other for other in sorted(system.glob("/etc/security/limits.d/*.conf")) if other > path]
    ours, found = limits_of(content), {}  # type: Dict[str, str], Dict[str, Tuple[str, str]]
    for other in later:
        for key, value in limits_of(system.read(other) or "").items():
            if key in ours:
                found[key] = (other, value)
    return {key: found[key] for key in found if found[key][1] != ours[key]}


def _sentences(path, found):
    # type: (str, Dict[str, Tuple[str, str]]) -> List[str]
    """`found`: what is set otherwise -> (file, value)."""
    return [
        "%s is %s, not what %s sets: %s is read after it and wins; take the line out there."
        % (key, found[key][1] or "empty", path, found[key][0])
        for key in sorted(found)
    ]


def _name(path):
    # type: (str) -> str
    return path.rsplit("/", 1)[1]
