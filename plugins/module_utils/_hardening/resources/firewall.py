# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's packet filter: nftables, with the ports that the playbook declared in use open and nothing else."""

from __future__ import absolute_import, division, print_function

import re

from ..._host.errors import HostError
from ..._host.sshd import effective
from ..._host.sshd import ports as listening
from ..._host.text import lines_of
from .base import Found, NotApplicableError, Resource
from .probes import open_ports

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

    from ..host import Host  # noqa: F401

TABLE = "fleet_hardening"
RULES = "/etc/nftables/fleet-hardening.nft"
LOADER = "/etc/sysconfig/nftables.conf"
PARTS = ("table", "chains", "loopback", "loopback_only", "established", "ports", "deny", "permanent")
OTHERS = ("firewalld", "iptables")
UNDO = "fleet-hardening-undo"
UNDO_SECONDS = 30
BEFORE = "/run/fleet-hardening-before.nft"
"""The table as it was, as a file for nft."""
CONFIRM = "systemctl stop %s.timer && nft list table inet %s >/dev/null" % (UNDO, TABLE)
"""What keeps the filter, run over a connection opened after it was loaded. Fails if it was undone meanwhile."""


class Firewall(Resource):
    """``want``: one of PARTS. Whichever is missing, the whole table is loaded: half a filter is none.

    sshd's own ports are always open. Where a program listens on a port that nobody declared, nothing is closed: a person decides.
    """

    name = "firewall"
    guard = "firewall"
    fields = {"want": "word!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        for other in OTHERS:
            if host.uses("services", other):
                raise NotApplicableError("in use: %s keeps this host's packet filter" % other)
        if "nftables" not in host.packages():
            raise NotApplicableError("package nftables is not installed")
        ports = desired_ports(host)
        shown = host.system.cached("nft", lambda: _table(host))
        if state["want"] == "permanent":
            return Found({"permanent": "yes" if _is_permanent(host, ports) else None})
        return Found({state["want"]: _part(shown, state["want"], ports)})

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        ports = desired_ports(host)
        undeclared = [port for port in open_ports(host) if port not in ports]
        if undeclared:
            raise HostError(
                "refused: port %s listens and was not declared in use; declare it or switch it off first"
                % ", ".join("%d" % port for port in undeclared)
            )
        text = ruleset(ports)
        host.system.do(["nft", "-c", "-f", "-"], "nft refuses the rules", stdin=text)
        host.system.write(RULES, text, 0o600)
        loader = _loader(host)
        content = host.system.read(loader) or ""
        if _include() not in lines_of(content):
            host.system.write(loader, content + _include() + "\n", 0o600)
        undo_unless_confirmed(host)
        host.system.forget("nft")
        host.system.do(["nft", "-f", host.system.real(RULES)], "nft -f " + RULES)


def undo_unless_confirmed(host):
    # type: (Host) -> None
    """Have systemd restore the table as it is now, unless CONFIRM is run in time: nobody on the host can tell whether the world still
    gets in. At the next boot, too, it is as it was.
    """
    if host.unproven:
        return
    before = "table inet %s\ndelete table inet %s\n%s" % (TABLE, TABLE, _table(host))
    host.system.run(["systemctl", "stop", UNDO + ".timer"])
    timer = ["systemd-run", "--unit=" + UNDO, "--on-active=%d" % UNDO_SECONDS, "--timer-property=AccuracySec=1s"]
    steps = (
        # Not through System: it is no change that --diff shows or that is undone with the others.
        (["/bin/sh", "-c", "umask 077 && cat >%s" % BEFORE], before),
        (timer + ["/bin/sh", "-c", "nft -f %s && cp %s %s" % (BEFORE, BEFORE, RULES)], None),
    )
    for argv, stdin in steps:
        host.system.do(argv, "refused: a way back could not be prepared: " + argv[0], stdin=stdin)
    host.unproven = True


def restore(host):
    # type: (Host) -> None
    """Load the table that was there before, at once. Raises HostError; then it is the timer that does it."""
    host.unproven = False  # nobody confirms it any more
    host.system.forget("nft")
    host.system.do(
        ["nft", "-f", BEFORE],
        "the packet filter from before was not loaded, which is tried again in %d s" % UNDO_SECONDS,
    )
    host.system.run(["systemctl", "stop", UNDO + ".timer"])


def desired_ports(host):
    # type: (Host) -> List[int]
    """What the playbook declared and what sshd listens on, whatever was declared: the access path stays open.

    While sshd can't read its configuration, what was declared counts: a port of its own that listens then is undeclared, and nothing is
    closed.
    """
    declared = host.in_use.get("ports", [])
    if not declared:
        raise NotApplicableError("the playbook declared no ports in use")
    try:
        own = listening(effective(host))
    except HostError:
        own = []
    return sorted({int(port) for port in list(declared) + own})


def ruleset(ports):
    # type: (List[int]) -> str
    """The table, replaced as a whole in one transaction. Pure."""
    text = """# Written by ecommerce.fleet.hardening. The ports are those declared in hardening_in_use and sshd's.
table inet %(table)s
delete table inet %(table)s
table inet %(table)s {
    chain input {
        type filter hook input priority 0; policy drop;
        iif "lo" accept
        iif != "lo" ip saddr 127.0.0.0/8 counter drop
        iif != "lo" ip6 saddr ::1 counter drop
        ct state established,related accept
        ct state invalid drop
        # Answers on connections that were open before the filter was loaded: without SYN none can be opened.
        ct state new tcp flags & (syn | ack) == ack accept
        meta l4proto { 1, 58 } accept
        udp sport 67 udp dport 68 accept
        udp sport 547 udp dport 546 accept
        tcp dport { %(ports)s } accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
    }
    chain output {
        type filter hook output priority 0; policy accept;
    }
}
""" % {"table": TABLE, "ports": ", ".join("%d" % port for port in ports)}
    return text.replace(" " * 4, "\t")


def _table(host):
    # type: (Host) -> str
    done = host.system.run(["nft", "list", "table", "inet", TABLE])
    if done.code == 127:
        raise host.absence("nftables", "the program nft")
    if done.code != 0 and "No such file" not in done.output:
        raise HostError("Cannot read the packet filter: nft list table inet %s: %s" % (TABLE, done.output))
    return done.out if done.code == 0 else ""


def _part(shown, part, ports):
    # type: (str, str, List[int]) -> Optional[str]
    """'yes', or what is there instead. Pure."""
    patterns = {
        "table": [r"^table inet %s" % TABLE],
        "chains": [r"hook input", r"hook forward", r"hook output"],
        "loopback": [r'iif "?lo"? accept'],
        "loopback_only": [r'iif != "?lo"? ip saddr 127\.0\.0\.0/8 .*drop', r'iif != "?lo"? ip6 saddr ::1 .*drop'],
        "established": [r"ct state established,related accept"],
        "deny": [r"hook input.*policy drop", r"hook forward.*policy drop"],
    }
    if part == "ports":
        found = re.search(r"tcp dport (\{ ([^}]*) \}|(\d+)) accept", shown)
        there = sorted(int(port) for port in re.findall(r"\d+", found.group(1))) if found else []
        return "yes" if there == ports else ", ".join("%d" % port for port in there) or None
    missing = [pattern for pattern in patterns[part] if not re.search(pattern, shown, re.MULTILINE)]
    return None if missing else "yes"


def _is_permanent(host, ports):
    # type: (Host, List[int]) -> bool
    return host.system.read(RULES) == ruleset(ports) and _include() in lines_of(host.system.read(_loader(host)) or "")


def _include():
    # type: () -> str
    return 'include "%s"' % RULES


def _loader(host):
    # type: (Host) -> str
    """The file that the unit loads at boot, as the unit names it."""

    def ask():
        # type: () -> str
        shown = host.system.run(["systemctl", "show", "-p", "ExecStart", "nftables.service"]).out
        found = re.search(r"-f (/\S+)", shown)
        return found.group(1) if found else LOADER

    loader = host.system.cached("nft loader", ask)  # type: str
    return loader  # noqa: RET504 - gives it its type
