"""Packages and services."""

from __future__ import absolute_import, division, print_function

from ..compare import difference, text
from ..host import with_suffix, without_suffix
from ..system import HardeningError
from .base import Found, NotApplicableError, Resource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401


WAYS_IN = {"package": ("openssh-server", "amazon-ssm-agent", "sudo"), "service": ("sshd", "amazon-ssm-agent")}
"""What is not taken away: no restored file would bring it back."""
PROPERTIES = "LoadState,UnitFileState,ActiveState,ConditionResult,ConditionTimestampMonotonic"


class Package(Resource):
    """Packages that must be there (``state: present``) or not (``absent``). Nothing that depends on one is ever removed with it."""

    name = "package"
    fields = {"name": "texts!", "state": "presence!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        return Found({name: "present" if name in host.packages() else "absent" for name in listed(state["name"])})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        wanted = state["state"]
        return [difference(name, wanted, value) for name, value in sorted(found.values.items()) if value != wanted]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        names = [difference_[0] for difference_ in self.diff(state, found)]
        if state["state"] == "present":
            raise HardeningError("not installed: add %s to hardening_packages" % ", ".join(names))
        _refuse_ways_in("package", names)
        done = host.system.run(["rpm", "-e"] + names, timeout=120)
        host.system.forget("packages")
        if done.code != 0:
            raise HardeningError("rpm -e %s: %s" % (" ".join(names), done.said))


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
            wanted = text(state[what.rsplit(" ", 1)[1]])
            if value != wanted:
                result.append(difference(what, wanted, value))
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        for name in sorted({what.rsplit(" ", 1)[0] for what, _w, _f in self.diff(state, found)}):
            unit = with_suffix(name)
            if not (state["enabled"] and state["running"]):
                _refuse_ways_in("service", [without_suffix(name)])
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
                done = host.system.run(argv, timeout=60)
                if done.code != 0:
                    raise HardeningError("%s: %s" % (" ".join(argv), done.said))
            host.system.forget("unit " + without_suffix(name))


def _refuse_ways_in(kind, names):
    # type: (str, List[str]) -> None
    for name in names:
        if name in WAYS_IN[kind]:
            raise HardeningError(
                "refused: %s %s is a way into the host; take it away by hand once another way is proven" % (kind, name)
            )


def unit_properties(host, name):
    # type: (Host, str) -> Dict[str, str]
    """The PROPERTIES of a unit."""

    def show():
        # type: () -> Dict[str, str]
        unit = with_suffix(name)
        done = host.system.run(["systemctl", "show", "-p", PROPERTIES, unit])
        if done.code != 0:
            raise HardeningError("Cannot ask systemd about %s: %s" % (unit, done.said))
        return dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)

    return host.system.cached("unit " + without_suffix(name), show)  # type: Dict[str, str]


def show_units(host, names):
    # type: (Host, List[str]) -> None
    """Ask systemd about all of them at once: one process instead of one each."""
    units = [with_suffix(name) for name in names]
    if not units:
        return
    done = host.system.run(["systemctl", "show", "-p", PROPERTIES] + units)
    blocks = done.out.strip().split("\n\n")
    if done.code != 0 or len(blocks) != len(units):
        return
    for name, block in zip(names, blocks):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        host.system.remember("unit " + without_suffix(name), values)
