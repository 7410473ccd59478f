# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel is told: parameters, modules."""

from __future__ import absolute_import, division, print_function

import re

from ..._host.drop_ins import FOLDERS, in_etc, sysctl_files, sysctl_value
from ..._host.errors import HostError
from ..._host.text import lines_of, put, without_comments
from ..compare import accepted, text
from .base import Found, NotApplicableError, Resource, ValueResource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict  # noqa: F401

    from ..host import Host  # noqa: F401

SYSCTL_FILE = "/etc/sysctl.d/99-zz-fleet-hardening.conf"
MODPROBE_FILE = "/etc/modprobe.d/fleet-hardening.conf"


class Sysctl(ValueResource):
    """A kernel parameter: its value at the next boot (files) and now (/proc/sys)."""

    name = "sysctl"
    fields = {"name": "text!", "value": "value!", "accept": "accept"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        path = _proc(state["name"])
        live = host.system.read(path)
        if live is None:
            raise NotApplicableError("this kernel has no %s" % state["name"])
        configured = None
        for name in host.system.cached("sysctl files", lambda: sysctl_files(host.system)):
            here = sysctl_value(host.system.read_once(name), state["name"])
            configured = here if here is not None else configured
        beyond = {}
        if host.container and not host.system.writable(path):
            beyond["now"] = "the kernel does not let this container change %s" % state["name"]
        return Found({"at boot": configured, "now": " ".join(live.split())}, beyond)

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        name, value = state["name"], text(state["value"])
        if not accepted(found.values["at boot"], value, state.get("accept")):
            order = sysctl_files(host.system, SYSCTL_FILE)
            for path in order[order.index(SYSCTL_FILE) + 1 :]:
                content = host.system.read(path) or ""
                if sysctl_value(content, name) is not None:
                    host.system.write(in_etc(path), _with_value(content, name, value))
                    host.system.forget(path)
                    host.system.forget(in_etc(path))
            host.system.write(
                SYSCTL_FILE, put(host.system.read(SYSCTL_FILE) or "", name, value, separator=" = "), 0o600
            )
            for cached in ("sysctl files", SYSCTL_FILE):
                host.system.forget(cached)
        if not accepted(found.values["now"], value, state.get("accept")) and "now" not in found.beyond:
            if not host.system.set_kernel_value(_proc(name), value):
                raise HostError("the kernel refused %s = %s" % (name, value))


def _proc(name):
    # type: (str) -> str
    return "/proc/sys/" + name.replace(".", "/")


def _with_value(content, name, value):
    # type: (str, str, str) -> str
    """The text with each line that sets the parameter set to the value. Pure."""
    lines = ["%s = %s" % (name, value) if sysctl_value(line, name) is not None else line for line in lines_of(content)]
    return "\n".join(lines) + "\n"


class KernelModule(Resource):
    """A module that must not be loaded: not by modprobe, not now."""

    name = "kernel_module"
    desired = {"modprobe": "refused", "loaded": "no"}
    fields = {"name": "text!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        # A file replaces those of its name in the folders before it (modprobe.d(5)).
        paths = host.system.layered(*["%s/modprobe.d" % folder for folder in FOLDERS])
        lines = [line for path in paths for line in without_comments(host.system.read(path) or "")]
        name = _module_pattern(state["name"])
        refused = any(re.match(r"^install\s+%s\s+(/usr)?/bin/(false|true)\b" % name, line) for line in lines)
        listed_there = any(re.match(r"^blacklist\s+%s$" % name, line) for line in lines)
        modules = host.system.cached("modules", lambda: host.system.read("/proc/modules") or "")
        loaded = re.search(r"^%s " % name, modules, re.MULTILINE) is not None
        beyond = (
            {"loaded": "modules belong to the kernel that this container shares"} if loaded and host.container else {}
        )
        return Found({"modprobe": "refused" if refused and listed_there else "allowed", "loaded": text(loaded)}, beyond)

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        name = state["name"]
        content = host.system.read(MODPROBE_FILE) or ""
        lines = [
            line for line in ("install %s /bin/false" % name, "blacklist %s" % name) if line not in lines_of(content)
        ]
        if found.values["modprobe"] != "refused":
            host.system.write(MODPROBE_FILE, content + "".join(line + "\n" for line in lines))
        if found.values["loaded"] == "yes" and not found.beyond:
            host.system.forget("modules")
            host.system.do(["modprobe", "-r", name], "%s stays loaded until the next boot" % name)


def _module_pattern(name):
    # type: (str) -> str
    """The kernel takes - and _ in names of modules for the same."""
    return "".join("[-_]" if letter in "-_" else re.escape(letter) for letter in name)
