# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages and services."""

from __future__ import absolute_import, division, print_function

from ..._host import systemd
from ..._host.errors import HostError
from ..._host.host import with_suffix, without_suffix
from ..compare import difference, text
from .base import Found, NotApplicableError, Resource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401


ACCESS_PATHS = {"package": ("openssh-server", "amazon-ssm-agent", "sudo"), "service": ("sshd", "amazon-ssm-agent")}
"""What is not removed: no restored file would bring it back."""
PROPERTIES = ("LoadState", "UnitFileState", "ActiveState", "ConditionResult", "ConditionTimestampMonotonic")


class Package(Resource):
    """Packages that must be there (``state: present``) or not (``absent``). Nothing that depends on one is ever removed with it."""

    name = "package"
    fields = {"name": "texts!", "state": "presence!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        return Found({name: "present" if name in host.packages() else "absent" for name in listed(state["name"])})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        desired = state["state"]
        return [difference(name, desired, value) for name, value in sorted(found.values.items()) if value != desired]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        names = [difference_[0] for difference_ in self.diff(state, found)]
        if state["state"] == "present":
            raise HostError("not installed: add %s to hardening_packages" % ", ".join(names))
        _refuse_access_paths("package", names)
        host.system.forget("packages")
        host.system.do(["rpm", "-e"] + names, timeout=120)


class Service(Resource):
    """Whether a unit starts at boot (``enabled``) and runs now (``running``). A unit that is not installed is off."""

    name = "service"
    may_depend = True
    fields = {"name": "texts!", "enabled": "flag!", "running": "flag!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        values, beyond = {}, {}  # type: Dict[str, Any], Dict[str, str]
        for name in listed(state["name"]):
            if not state["running"] and host.uses("services", name):
                raise NotApplicableError("in use: service %s was declared by the playbook" % name)
            unit = unit_properties(host, name)
            values[name + " enabled"] = text(
                unit["UnitFileState"] in ("enabled", "enabled-runtime", "static", "alias", "indirect")
            )
            values[name + " running"] = text(unit["ActiveState"] in ("active", "reloading", "activating"))
            if host.container and unit["ConditionResult"] == "no" and unit["ConditionTimestampMonotonic"] != "0":
                beyond[name + " running"] = "its own conditions keep %s from running in a container" % name
        return Found(values, beyond)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        result = []  # type: List[Difference]
        for what, value in sorted(found.values.items()):
            desired = text(state[what.rsplit(" ", 1)[1]])
            if value != desired:
                result.append(difference(what, desired, value))
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        for name in sorted({what.rsplit(" ", 1)[0] for what, _w, _f in self.diff(state, found)}):
            unit = with_suffix(name)
            if not (state["enabled"] and state["running"]):
                _refuse_access_paths("service", [without_suffix(name)])
            off = not state["enabled"] and not state["running"]
            # systemd reads all units again after each step, unless told not to: once a service is enough.
            if state["enabled"]:
                steps = [["systemctl", "--no-reload", "unmask", unit], ["systemctl", "enable", unit]]
            else:
                steps = [["systemctl"] + (["--no-reload"] if off else []) + ["disable", unit]]
            steps.append(["systemctl", "start" if state["running"] else "stop", unit])
            if off:
                steps.append(["systemctl", "mask", unit])
            for argv in steps:
                host.system.do(argv)
            host.system.forget("unit " + without_suffix(name))


def _refuse_access_paths(kind, names):
    # type: (str, List[str]) -> None
    for name in names:
        if name in ACCESS_PATHS[kind]:
            raise HostError(
                "refused: %s %s is an access path to the host; remove it by hand once another one is proven"
                % (kind, name)
            )


def unit_properties(host, name):
    # type: (Host, str) -> Dict[str, str]
    """The PROPERTIES of a unit."""

    def ask():
        # type: () -> Dict[str, str]
        return systemd.show(host.system.command, [with_suffix(name)], PROPERTIES)[with_suffix(name)]

    shown = host.system.cached("unit " + without_suffix(name), ask)  # type: Dict[str, str]
    return shown  # noqa: RET504 - gives it its type


def show_units(host, names):
    # type: (Host, List[str]) -> None
    """Ask systemd about all of them at once: one process instead of one each. Where it can't be asked, each control says so."""
    try:
        shown = systemd.show(host.system.command, [with_suffix(name) for name in names], PROPERTIES)
    except systemd.SystemdError:
        return
    for unit, values in shown.items():
        host.system.remember("unit " + without_suffix(unit), values)
