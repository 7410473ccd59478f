"""The SSH daemon's settings, as it states them itself (sshd -T)."""

from __future__ import absolute_import, division, print_function

import fnmatch
import re

from ..compare import accepted, difference, text, wanted_text
from ..system import HardeningError
from ..textfile import put, without_block
from .accounts import login_users
from .base import Found, NotApplicableError, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

MAIN = "/etc/ssh/sshd_config"
DROP_IN_DIRECTORY = "/etc/ssh/sshd_config.d"
DROP_IN = DROP_IN_DIRECTORY + "/00-fleet-hardening.conf"
LAST_WINS = ("fingerprinthash", "maxstartups")
INCLUDE = re.compile(r"(?im)^\s*include\s+(.*\s)?(/etc/ssh/)?sshd_config\.d/\*\.conf")
BEGIN, END = "# BEGIN fleet hardening", "# END fleet hardening"


class SshdSetting(Resource):
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
        settings = effective(host)
        names = [name for name in (state["option"], state.get("alias")) if name]
        known = [name for name in names if name.lower() in settings]
        if not known and state.get("silent"):
            return Found({state["option"]: None})
        if not known:
            raise NotApplicableError("this sshd has no option %s" % state["option"])
        return Found({known[0]: settings[known[0].lower()]})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        wanted = wanted_text(state["value"], state.get("accept"))
        wrong = [
            item for item in sorted(found.values.items()) if not accepted(item[1], state["value"], state.get("accept"))
        ]
        return [difference(option, wanted, value) for option, value in wrong]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        option = next(iter(found.values))
        set_option(host, option, text(state["value"]))
        for path in [MAIN] + [path for path in host.system.glob(DROP_IN_DIRECTORY + "/*.conf") if path != DROP_IN]:
            content = host.system.read(path) or ""
            before = len(content) if option.lower() in LAST_WINS else read_before_ours(path, content)
            quiet = without_setting(content[:before], option) + content[before:]
            if quiet != content:
                host.system.write(path, quiet)
        host.system.forget("sshd")


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
        wanted = [user for user in login_users(host) if not allowed or host.uses("users", user)]
        if not allowed and not wanted:
            raise NotApplicableError("nobody logs in by SSH")
        missing = [user for user in wanted if not any(fnmatch.fnmatch(user, pattern) for pattern in patterns)]
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


def effective(host, user=None):
    # type: (Host, Optional[str]) -> Dict[str, str]
    """Option in lower case -> value. Several values of one option are joined by spaces. ``user``: as it is for that user's connections."""

    match = ["-C", "user=%s,host=localhost,addr=127.0.0.1" % user] if user else []
    # An answer, whatever it is, is asked for once: many controls want it.
    done = host.system.cached("sshd %s" % user if user else "sshd", lambda: host.system.run(["sshd", "-T"] + match))
    if done.code == 127:
        raise NotApplicableError("sshd is not installed")
    if done.code != 0:
        raise HardeningError("sshd can't read its configuration (sshd -T): %s. Correct %s first." % (done.said, MAIN))
    return parse(done.out)


def parse(output):
    # type: (str) -> Dict[str, str]
    """What sshd -T prints, as a dictionary."""
    settings = {}  # type: Dict[str, str]
    for line in output.splitlines():
        name, _space, value = line.strip().partition(" ")
        name, value = name.lower(), value.strip()
        if name:
            settings[name] = "%s %s" % (settings[name], value) if name in settings else value
    return settings


def reads_drop_in(main):
    # type: (str) -> bool
    """Whether sshd_config includes the directory of drop-ins before its first Match block."""
    before_match = re.split(r"(?im)^\s*match\s", main)[0]
    return INCLUDE.search(before_match) is not None


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
    """The text with every line that sets the option made a comment, but for our block's."""
    lines, ours = [], False
    for line in content.splitlines():
        ours = line.strip() == BEGIN or (ours and line.strip() != END)
        sets = re.match(r"(?i)^\s*%s[\s=]" % re.escape(option), line) is not None
        lines.append("# " + line if sets and not ours else line)
    return "".join(line + "\n" for line in lines)
