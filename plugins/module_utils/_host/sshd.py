# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH daemon: its effective configuration (sshd -T), where its drop-ins count, reloading it. Runs under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import re
import time

from . import systemd
from .errors import HostError
from .text import lines_of

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Optional, Tuple  # noqa: F401

    from .host import Host  # noqa: F401
    from .processes import Completed  # noqa: F401

MAIN = "/etc/ssh/sshd_config"
DROP_IN_DIRECTORY = "/etc/ssh/sshd_config.d"
INCLUDE = re.compile(r"(?im)^\s*include\s+(.*\s)?(/etc/ssh/)?sshd_config\.d/\*\.conf")
RELOAD_SECONDS = 5.0
LACKING = "in configuration but"
"""What sshd says of a Match block by something that -C does not tell: since OpenSSH 8 it is an error, also without -C for LocalPort
(match_test_missing_fatal in its servconf.c)."""
NO_PORT = "1"
KEY_FILES = ".ssh/authorized_keys .ssh/authorized_keys2"
"""AuthorizedKeysFile where nothing sets it."""


def effective(host, user=None, host_key=""):
    # type: (Host, Optional[str], str) -> Dict[str, str]
    """Option in lower case -> value. Several values of one option are joined by spaces. ``user``: as it is for that user's connections.

    ``host_key``: the path of one to use where those of the configuration may not be there. Raises NotInstalledError without the package,
    HostError where sshd can't be asked.
    """
    # An answer, whatever it is, is asked for once: many controls want it.
    name = " ".join(word for word in ("sshd", user, host_key) if word)
    done = host.system.cached(name, lambda: _asked(host, user, host_key))
    if done.code == 127:
        raise host.absence("openssh-server", "the program sshd")
    if done.code != 0:
        raise HostError("sshd can't read its configuration (sshd -T): %s. Correct %s first." % (done.output, MAIN))
    return parse(done.out)


def _asked(host, user, host_key):
    # type: (Host, Optional[str], str) -> Completed
    argv = ["sshd", "-T"] + (["-h", host_key] if host_key else [])
    connection = "user=%s,host=localhost,addr=127.0.0.1" % user if user else ""
    done = host.system.run(argv + (["-C", connection] if connection else []))
    if done.code == 0 or LACKING not in done.err + done.out:
        return done
    # A Match block goes by the port. Ours is one that none names, or for a user's connection the one that sshd listens on first.
    place = "laddr=127.0.0.1,lport=%s"
    if user is None:
        return host.system.run(argv + ["-C", place % NO_PORT])
    port = ports(effective(host, None, host_key))[0]
    return host.system.run(argv + ["-C", "%s,%s" % (connection, place % port)])


def parse(output):
    # type: (str) -> Dict[str, str]
    """What sshd -T prints, as a dictionary."""
    settings = {}  # type: Dict[str, str]
    for line in lines_of(output):
        name, _space, value = line.strip().partition(" ")
        name, value = name.lower(), value.strip()
        if name:
            settings[name] = "%s %s" % (settings[name], value) if name in settings else value
    return settings


def addresses(settings):
    # type: (Dict[str, str]) -> List[Tuple[str, str]]
    """(address, port) of each that sshd listens on: ListenAddress may have another port than Port (sshd_config(5))."""
    found = re.findall(r"(?:^| )(?:\[([^\] ]*)\]|([^: ]+)):([0-9]+)(?= |$)", settings.get("listenaddress", ""))
    named = [(six or four, port) for six, four, port in found]
    return named or [("0.0.0.0", port) for port in settings.get("port", "22").split()]  # noqa: S104 - what sshd does


def ports(settings):
    # type: (Dict[str, str]) -> List[str]
    """The ports of these, each once."""
    found = [port for _address, port in addresses(settings)]
    return sorted(set(found), key=found.index)


def key_files(settings, account):
    # type: (Dict[str, str], Dict[str, str]) -> List[str]
    """The files that sshd takes keys of the account ({name, uid, home}) from, by AuthorizedKeysFile (sshd_config(5))."""
    tokens = {"%h": account["home"], "%u": account["name"], "%U": account["uid"], "%%": "%"}
    patterns = [p for p in settings.get("authorizedkeysfile", KEY_FILES).split() if p != "none"]
    paths = [re.sub("%.", lambda found: tokens.get(found.group(0), found.group(0)), pattern) for pattern in patterns]
    return [path if path.startswith("/") else account["home"].rstrip("/") + "/" + path for path in paths]


def keys_of(host, account):
    # type: (Host, Dict[str, str]) -> List[str]
    """Those of them that are there; by sshd's own default where it does not say."""
    try:
        settings = effective(host, account["name"])
    except HostError:
        settings = {}
    return [path for path in key_files(settings, account) if host.system.exists(path)]


def reads_drop_in(main):
    # type: (str) -> bool
    """Whether sshd_config includes the directory of drop-ins before its first Match block."""
    before_match = re.split(r"(?im)^\s*match\s", main)[0]
    return INCLUDE.search(before_match) is not None


def is_active(host):
    # type: (Host) -> bool
    return host.system.run(["systemctl", "is-active", "sshd"]).out.strip() in ("active", "reloading")


def reload(host):
    # type: (Host) -> None
    """Have sshd read its files again, and wait until it has: a second signal while it starts over would end it."""
    if not is_active(host):
        return
    pid = systemd.Unit(host.system.command, "sshd").show(("MainPID",)).get("MainPID", "0")
    before = _program_image(host, pid)
    host.system.do(["systemctl", "reload", "sshd"])
    deadline = time.time() + RELOAD_SECONDS
    while before and _program_image(host, pid) == before and time.time() < deadline:
        time.sleep(0.02)


def _program_image(host, pid):
    # type: (Host, str) -> str
    """What tells one execution of a program in a process from the next: where the kernel has put it."""
    try:
        return (host.system.read("/proc/%s/maps" % pid) or "").partition("\n")[0]
    except HostError:
        return ""
