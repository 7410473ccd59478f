# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SELinux's mode. People turn it on and make it enforcing: files without labels may keep a host from booting, and nginx from its upstreams.

Amazon Linux 2 ships with SELinux disabled, 2023 permissive; a file made while it is disabled has no label (RHEL 7, SELinux User's and
Administrator's Guide, "Enabling SELinux").
"""

from __future__ import absolute_import, division, print_function

from ..._host.files import SELINUX as ENFORCE
from ..._host.text import lines_of, put
from ..compare import difference
from .base import Found, NotApplicableError, Resource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

CONFIG = "/etc/selinux/config"
CONFIGURED, RUNNING = CONFIG + ": SELINUX", "mode of the running kernel"
TURN_ON = (
    "reported, not set: files have no labels while SELinux is off. On a host of your own install selinux-policy-targeted, set "
    "SELINUX=permissive in %s, touch /.autorelabel and reboot; make the image from that host" % CONFIG
)
MAKE_ENFORCING = (
    "reported, not set: it must be proven first. On a host of your own in permissive mode run restorecon -Rn / (nothing to relabel), "
    "setsebool -P httpd_can_network_connect on, reboot and see that ausearch -m avc -ts boot finds nothing; then set SELINUX=enforcing in "
    "%s, reboot, and make the image from that host" % CONFIG
)
GONE = (
    "reported, not set: %s is gone, so the next boot loads no policy. Reinstall the package selinux-policy-targeted"
    % CONFIG
)
KEY, MODES = "SELINUX=", ("enforcing", "permissive", "disabled")
FIRST_CONTEXT = "/proc/1/attr/current"
CONTAINER = "a container has its host's kernel"


class SelinuxMode(Resource):
    """SELinux is in one of the modes ``modes``, now and after the next boot.

    Set is only what is safe: permissive instead of disabled while the running kernel still labels files. All else is reported.
    """

    name = "selinux_mode"
    fields = {"modes": "texts!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        there = host.system.exists(CONFIG)
        if not there and (host.container or running(host) == "off"):
            raise NotApplicableError("%s does not exist and the kernel runs without SELinux" % CONFIG)
        values = {CONFIGURED: configured(host)}  # type: Dict[str, Any]
        if not host.container:
            values[RUNNING] = running(host)
        modes = listed(state["modes"])
        safe = {CONFIGURED} if there and "permissive" in modes and running(host) != "off" else set()
        reason = (
            CONTAINER if host.container else TURN_ON if running(host) == "off" else MAKE_ENFORCING if there else GONE
        )
        # An audit tells a failure; a run that enforces goes on without what it may not set.
        reported = host.enforcing or host.container
        return Found(values, {what: reason for what in values if reported and what not in safe})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        modes = listed(state["modes"])
        return [
            difference(what, " or ".join(modes), mode)
            for what, mode in sorted(found.values.items())
            if mode not in modes
        ]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        if found.values[CONFIGURED] not in listed(state["modes"]) and CONFIGURED not in found.beyond:
            host.system.write(CONFIG, put(host.system.read(CONFIG) or "", "SELINUX", "permissive"))


def configured(host):
    # type: (Host) -> Optional[str]
    """The mode after the next boot, unless the kernel's arguments say otherwise; None where the file says none.

    As libselinux reads it (selinux_getenforcemode): the first line that begins with SELINUX= and one of the words.
    """
    lines = lines_of(host.system.read(CONFIG) or "")
    values = [line[len(KEY) :].strip().lower() for line in lines if line.startswith(KEY)]
    return next((mode for value in values for mode in MODES if value.startswith(mode)), None)


def running(host):
    # type: (Host) -> str
    """enforcing, permissive or off: as the kernel says. One that has no policy loaded labels nothing, whatever its ``enforce`` is.

    Kernels from 6.4 on can't be told to leave SELinux (SELINUX=disabled); they run on without a policy, and every process's context is
    ``kernel`` (The SELinux Notebook, "Initial SID").
    """
    mode = host.system.read(ENFORCE)
    if mode is None or (host.system.read(FIRST_CONTEXT) or "").strip("\0\n ") == "kernel":
        return "off"
    return "enforcing" if mode.strip() == "1" else "permissive"


def not_without_proof(host, argument):
    # type: (Host, str) -> Optional[str]
    """Why the kernel's argument ``selinux`` or ``enforcing`` must stay as it is: without it the next boot would be in an unproven mode."""
    mode = configured(host)
    if argument == "selinux" and running(host) == "off" and mode in ("permissive", "enforcing"):
        return TURN_ON
    if argument in ("selinux", "enforcing") and mode == "enforcing" and running(host) != "enforcing":
        return MAKE_ENFORCING
    return None
