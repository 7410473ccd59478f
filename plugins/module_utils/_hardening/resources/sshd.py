# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH daemon's settings, as it states them itself (sshd -T)."""

from __future__ import absolute_import, division, print_function

import fnmatch
import re

from ..._host.sshd import DROP_IN_DIRECTORY, INCLUDE, MAIN, effective, reads_drop_in
from ..._host.text import put, without_block
from ..compare import difference, text
from .accounts import login_users
from .base import Found, NotApplicableError, Resource, ValueResource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

DROP_IN = DROP_IN_DIRECTORY + "/00-fleet-hardening.conf"
LAST_WINS = ("fingerprinthash", "maxstartups")
BEGIN, END = "# BEGIN fleet hardening", "# END fleet hardening"


class SshdSetting(ValueResource):
    """The value that sshd uses for a connection that no Match block catches.

    sshd takes the first value it reads: ours go into the first drop-in file, or into a block at the top where drop-ins are not read (Amazon
    Linux 2's OpenSSH 7.4 has no Include). Others' lines that it would take instead become comments: those it reads before ours, and all
    of LAST_WINS.
    """

    name = "sshd"
    guard = "sshd"
    fields = {"option": "text!", "alias": "text", "value": "value!", "accept": "accept", "silent": "flag"}
    # alias: the name that older releases have for the option; silent: sshd states it only where it is set.

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        settings, known = effective(host), _known(host, state)
        if not known and state.get("silent"):
            return Found({state["option"]: None})
        if not known:
            raise NotApplicableError("this sshd has no option %s" % state["option"])
        return Found({known[0]: settings[known[0].lower()]})

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        # An sshd that states it by both names may let either turn it on (OpenSSH before 8.7, the dialogue).
        for option in _known(host, state) or list(found.values):
            set_option(host, option, text(state["value"]))
            for path in [MAIN] + [path for path in host.system.layered(DROP_IN_DIRECTORY) if path != DROP_IN]:
                content = host.system.read(path) or ""
                before = len(content) if option.lower() in LAST_WINS else read_before_ours(path, content)
                quiet = without_setting(content[:before], option) + content[before:]
                if quiet != content:
                    host.system.write(path, quiet)
        host.system.forget("sshd")


def _known(host, state):
    # type: (Host, Dict[str, Any]) -> List[str]
    """The names by which this sshd states the option."""
    settings = effective(host)
    return [name for name in (state["option"], state.get("alias")) if name and name.lower() in settings]


class SshdUsers(Resource):
    """AllowUsers: who may log in at all. Set to those who do today, so that nobody is cut: declared in use, or with keys of their own.

    A limit that somebody has set already, by users or groups, is kept; only users declared in use are added to it.
    """

    name = "sshd_users"
    guard = "sshd"

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        if names_from_directory(host):
            raise NotApplicableError("accounts come from a directory: who logs in is not known here")
        settings = effective(host)
        if settings.get("allowgroups"):
            return Found({"AllowGroups": settings["allowgroups"]})
        allowed = settings.get("allowusers", "").split()
        patterns = [entry.split("@")[0] for entry in allowed]
        desired = [user for user in login_users(host) if not allowed or host.uses("users", user)]
        if not allowed and not desired:
            raise NotApplicableError("nobody logs in by SSH")
        missing = [user for user in desired if not any(fnmatch.fnmatch(user, pattern) for pattern in patterns)]
        values = {"AllowUsers": " ".join(allowed) or None}  # type: Dict[str, Any]
        if missing:
            values["not allowed"] = " ".join(missing)
        return Found(values)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        missing = found.values.get("not allowed")
        return [difference("AllowUsers", "with " + missing, found.values["AllowUsers"])] if missing else []

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        names = (found.values["AllowUsers"] or "").split() + found.values["not allowed"].split()
        set_option(host, "AllowUsers", " ".join(sorted(set(names))))
        host.system.forget("sshd")


def set_option(host, option, value):
    # type: (Host, str, str) -> None
    """Write the option to the place that sshd reads first."""
    main = host.system.read(MAIN) or ""
    if reads_drop_in(main):
        host.system.write(DROP_IN, put(host.system.read(DROP_IN) or "", option, value, separator=" "), 0o600)
    else:
        host.system.write(MAIN, with_setting(main, option, value))


def names_from_directory(host):
    # type: (Host) -> bool
    """Whether accounts come from LDAP, NIS, Active Directory or SSSD as well as from /etc/passwd."""
    sources = re.findall(r"(?m)^passwd:(.*)$", host.system.read("/etc/nsswitch.conf") or "")
    words = " ".join(sources).split()
    return any(word in ("ldap", "nis", "winbind") for word in words) or (
        "sss" in words and host.system.exists("/etc/sssd/sssd.conf")
    )


def read_before_ours(path, content):
    # type: (str, str) -> int
    """How many characters of the file sshd reads before our drop-in: sshd_config up to its Include, drop-ins with an earlier name."""
    first_match = re.search(r"(?im)^\s*match\s", content)
    end = first_match.start() if first_match else len(content)
    if path == MAIN:
        include = INCLUDE.search(content)
        return min(end, include.start()) if include else 0
    return end if path < DROP_IN else 0


def with_setting(main, option, value):
    # type: (str, str, str) -> str
    """sshd_config with the setting in our block at its top."""
    outside, block = without_block(main, BEGIN, END)
    return "%s\n%s%s\n%s" % (BEGIN, put(block, option, value, separator=" "), END, outside)


def without_setting(content, option):
    # type: (str, str) -> str
    """The text with every line that sets the option made a comment, but for our block's. All else stays to the letter."""
    kept, ours = [], False
    for line in content.split("\n"):
        ours = line.strip() == BEGIN or (ours and line.strip() != END)
        sets = re.match(r'(?i)^\s*"?%s"?[\s=]' % re.escape(option), line) is not None
        kept.append("# " + line if sets and not ours else line)
    return "\n".join(kept)
