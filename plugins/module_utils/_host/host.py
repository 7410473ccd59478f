# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with its release, and what other roles rely on there. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import re

from .errors import HostError, NotInstalledError
from .text import lines_of

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Set  # noqa: F401

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

    def uses(self, kind, name):
        # type: (str, Any) -> bool
        """Whether the playbook declared the port, service, user or mount in use."""
        desired = without_suffix("%s" % (name,))
        return any(without_suffix("%s" % (entry,)) == desired for entry in self.in_use.get(kind, []))

    def packages(self):
        # type: () -> Set[str]
        """Names of the installed packages."""

        def query():
            # type: () -> Set[str]
            done = self.system.run(["rpm", "-qa", "--qf", "%{NAME}\n"], timeout=60)
            if done.code != 0:
                raise HostError(
                    "Cannot list the installed packages: rpm -qa ended with %d: %s" % (done.code, done.output)
                )
            return set(done.out.split())

        packages = self.system.cached("packages", query)  # type: Set[str]
        return packages  # noqa: RET504 - gives it its type

    def absence(self, package, what):
        # type: (str, str) -> HostError
        """What to raise where ``what`` is not there, which the package brings: only without the package is nothing amiss."""
        if package in self.packages():
            return HostError("%s is gone, though the package %s is installed: reinstall it" % (what, package))
        return NotInstalledError("package %s is not installed" % package)

    def mounts(self):
        # type: () -> List[List[str]]
        """What is mounted now, a row each: device, mount point, type, options and two numbers (proc(5), mounts)."""
        return [line.split() for line in lines_of(self.system.read("/proc/self/mounts") or "")]


def with_suffix(name):
    # type: (str) -> str
    """The unit's whole name: a service unless it says otherwise."""
    return name if "." in name else name + ".service"


def without_suffix(name):
    # type: (str) -> str
    return name[: -len(".service")] if name.endswith(".service") else name


def read_release(system):
    # type: (System) -> str
    """al2 or al2023. Raises HostError on any other system: its controls would be guesses."""
    text = system.read("/etc/os-release") or ""
    pairs = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    release = RELEASES.get(pairs.get("VERSION_ID", "")) if pairs.get("ID") == "amzn" else None
    if release is None:
        raise HostError(
            "This host says it is '%s %s' (/etc/os-release); the controls are written for Amazon Linux 2 and 2023 only. Nothing was "
            "changed. Leave the host out with --limit." % (pairs.get("ID", "unknown"), pairs.get("VERSION_ID", ""))
        )
    return release


def read_container(system):
    # type: (System) -> bool
    return any(system.exists(path) for path in ("/run/systemd/container", "/.dockerenv", "/run/.containerenv"))
