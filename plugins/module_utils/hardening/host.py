"""What is true of the host that controls are evaluated on."""

from __future__ import absolute_import, division, print_function

import re

from .system import HardeningError

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Set, Tuple  # noqa: F401

    from .system import System  # noqa: F401

RELEASES = {"2": "al2", "2023": "al2023"}
KINDS_IN_USE = ("ports", "services", "users", "mounts", "endpoints")


class Host(object):
    """A system and what is known about it. ``in_use``: what other roles rely on, a list for each of KINDS_IN_USE."""

    def __init__(self, system, in_use=None, release=None, container=None):
        # type: (System, Optional[Dict[str, List[Any]]], Optional[str], Optional[bool]) -> None
        self.system = system
        self.in_use = in_use or {}
        self.release = release or read_release(system)
        self.container = read_container(system) if container is None else container
        self.after = []  # type: List[Tuple[str, str]]
        """Units to restart or reload once everything is written: (verb, unit)."""
        self.enforcing = False
        """Whether what does not hold is changed, by the run that other roles may come after."""
        self.unproven = False
        """Whether a packet filter was loaded that the host undoes by itself unless somebody outside gets in and confirms it."""

    def uses(self, kind, name):
        # type: (str, Any) -> bool
        """Whether the playbook declared the port, service, user or mount in use."""
        wanted = without_suffix("%s" % (name,))
        return any(without_suffix("%s" % (entry,)) == wanted for entry in self.in_use.get(kind, []))

    def packages(self):
        # type: () -> Set[str]
        """Names of the installed packages."""

        def query():
            # type: () -> Set[str]
            done = self.system.run(["rpm", "-qa", "--qf", "%{NAME}\n"], timeout=60)
            if done.code != 0:
                raise HardeningError(
                    "Cannot list the installed packages: rpm -qa ended with %d: %s" % (done.code, done.said)
                )
            return set(done.out.split())

        return self.system.cached("packages", query)  # type: Set[str]

    def mounts(self):
        # type: () -> List[List[str]]
        """What is mounted now, a row each: device, mount point, type, options and two numbers (proc(5), mounts)."""
        return [line.split() for line in (self.system.read("/proc/self/mounts") or "").splitlines()]

    def later(self, verb, unit):
        # type: (str, str) -> None
        """Have a unit restarted or reloaded (``verb``) once everything is written."""
        if (verb, unit) not in self.after:
            self.after.append((verb, unit))


def with_suffix(name):
    # type: (str) -> str
    """The unit's whole name: a service unless it says otherwise."""
    return name if "." in name else name + ".service"


def without_suffix(name):
    # type: (str) -> str
    return name[: -len(".service")] if name.endswith(".service") else name


def read_release(system):
    # type: (System) -> str
    """al2 or al2023. Raises HardeningError on any other system: its controls would be guesses."""
    text = system.read("/etc/os-release") or ""
    pairs = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    release = RELEASES.get(pairs.get("VERSION_ID", "")) if pairs.get("ID") == "amzn" else None
    if release is None:
        raise HardeningError(
            "This host says it is '%s %s' (/etc/os-release); the controls are written for Amazon Linux 2 and 2023 only. Nothing was "
            "changed. Leave the host out with --limit." % (pairs.get("ID", "unknown"), pairs.get("VERSION_ID", ""))
        )
    return release


def read_container(system):
    # type: (System) -> bool
    return any(system.exists(path) for path in ("/run/systemd/container", "/.dockerenv", "/run/.containerenv"))
