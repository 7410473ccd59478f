# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a control applies to a host: its ``applies``, all conditions of which must be met."""

from __future__ import absolute_import, division, print_function

from .._host.host import KINDS_IN_USE
from .resources.base import listed
from .resources.software import unit_properties

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, Optional  # noqa: F401

    from .host import Host  # noqa: F401


def why_not(host, applies):
    # type: (Host, Dict[str, Any]) -> Optional[str]
    """Why a control does not apply to the host; None if it does."""
    if host.release not in applies.get("os", [host.release]):
        return "not part of this release"
    if host.container and applies.get("container") is False:
        return "not meaningful in a container"
    for path in listed(applies.get("path")):
        if not host.system.glob(path):
            return "%s does not exist" % path
    packages = listed(applies.get("package"))
    if packages and not any(name in host.packages() for name in packages):
        return "package %s is not installed" % " or ".join(packages)
    services = listed(applies.get("service"))
    if services and not any(unit_properties(host, name)["LoadState"] == "loaded" for name in services):
        return "service %s is not there" % " or ".join(services)
    return _why_not_by_use(host, applies)


def _why_not_by_use(host, applies):
    # type: (Host, Dict[str, Any]) -> Optional[str]
    """Role-aware: ``in_use`` is for what a declared role brings, ``unless_in_use`` spares what one needs."""
    for kind in KINDS_IN_USE:
        desired = listed(applies.get("in_use", {}).get(kind))
        if desired and not any(host.uses(kind, name) for name in desired):
            return "not in use: the playbook declared no %s %s" % (
                kind[:-1],
                " or ".join("%s" % name for name in desired),
            )
        for name in listed(applies.get("unless_in_use", {}).get(kind)):
            if host.uses(kind, name):
                return "in use: %s %s was declared by the playbook" % (kind[:-1], name)
    return None
