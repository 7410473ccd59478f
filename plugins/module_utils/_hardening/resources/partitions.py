# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that must be file systems of their own."""

from __future__ import absolute_import, division, print_function

from ..compare import text
from .base import Found, NotApplicableError, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict  # noqa: F401

    from ..host import Host  # noqa: F401

TMP, TMP_UNIT = "/tmp", "tmp.mount"  # noqa: S108 - looked at, not written
WANTED = "/usr/lib/systemd/system/local-fs.target.wants/" + TMP_UNIT
LAID_OUT = "the disk is laid out with the image; give %s a volume of its own there"


class Partition(Resource):
    """``path`` is a file system of its own. Only /tmp can be made one on a host that runs, and only for its next boot."""

    name = "partition"
    fields = {"path": "text!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        path = state["path"]
        if host.uses("mounts", path):
            raise NotApplicableError("in use: mount %s was declared by the playbook" % path)
        now = any(row[1] == path for row in host.mounts())
        if path != TMP or not host.system.exists("/usr/lib/systemd/system/" + TMP_UNIT):
            return Found({"now": text(now)}, {"now": LAID_OUT % path})
        return Found(
            {"now": text(now), "at boot": text(now or _at_boot(host))},
            {"now": "%s becomes a file system of its own at the next boot" % path},
        )

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        for argv in (["systemctl", "unmask", TMP_UNIT], ["systemctl", "enable", TMP_UNIT]):
            host.system.do(argv)


def _at_boot(host):
    # type: (Host) -> bool
    """Whether systemd mounts /tmp at boot: its unit is enabled, or is pulled in by what the package itself brings and not masked."""
    state = host.system.run(["systemctl", "is-enabled", TMP_UNIT]).out.strip()
    return state == "enabled" or (state == "static" and host.system.exists(WANTED))
