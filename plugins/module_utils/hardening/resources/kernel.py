"""What the kernel is told: parameters, modules."""

from __future__ import absolute_import, division, print_function

import re

from ..compare import accepted, difference, text, wanted_text
from ..system import HardeningError
from ..textfile import get, put, without_comments
from .base import Found, NotApplicableError, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

SYSCTL_FILE = "/etc/sysctl.d/99-zz-fleet-hardening.conf"
SYSCTL_LATEST = "/etc/sysctl.conf"
MODPROBE_FILE = "/etc/modprobe.d/fleet-hardening.conf"


class Sysctl(Resource):
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
        for name in host.system.cached("sysctl files", lambda: _sysctl_files(host)):
            here = _sysctl_value(host.system.read_once(name), state["name"])
            configured = here if here is not None else configured
        beyond = {}
        if host.container and not host.system.writable(path):
            beyond["now"] = "the kernel does not let this container change %s" % state["name"]
        return Found({"at boot": configured, "now": " ".join(live.split())}, beyond)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        wanted = wanted_text(state["value"], state.get("accept"))
        return [
            difference(what, wanted, value)
            for what, value in sorted(found.values.items())
            if not accepted(value, state["value"], state.get("accept"))
        ]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        name, value = state["name"], text(state["value"])
        if not accepted(found.values["at boot"], value, state.get("accept")):
            latest = host.system.read(SYSCTL_LATEST) or ""
            if get(latest, name) is not None:
                host.system.write(SYSCTL_LATEST, put(latest, name, value, separator=" = "))
            host.system.write(
                SYSCTL_FILE, put(host.system.read(SYSCTL_FILE) or "", name, value, separator=" = "), 0o600
            )
            for cached in ("sysctl files", SYSCTL_FILE, SYSCTL_LATEST):
                host.system.forget(cached)
        if not accepted(found.values["now"], value, state.get("accept")) and "now" not in found.beyond:
            if not host.system.set_kernel_value(_proc(name), value):
                raise HardeningError("the kernel refused %s = %s" % (name, value))


def _proc(name):
    # type: (str) -> str
    return "/proc/sys/" + name.replace(".", "/")


def _sysctl_files(host):
    # type: (Host) -> List[str]
    """The files in the order in which sysctl --system reads them: by name, /etc before /run before /usr/lib; sysctl.conf last."""
    chosen = {}  # type: Dict[str, str]
    for directory in ("/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"):
        for path in host.system.glob(directory + "/*.conf"):
            chosen[path.rsplit("/", 1)[1]] = path
    return [chosen[name] for name in sorted(chosen)] + [SYSCTL_LATEST]


def _sysctl_value(content, name):
    # type: (str, str) -> Optional[str]
    pattern = r"^-?%s\s*=\s*(.*)$" % re.escape(name).replace(r"\.", "[./]")
    found = [re.match(pattern, line) for line in without_comments(content)]
    values = [match.group(1).strip() for match in found if match]
    return values[-1] if values else None


class KernelModule(Resource):
    """A module that must not be loaded: not by modprobe, not now."""

    name = "kernel_module"
    fields = {"name": "text!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        paths = [
            path
            for folder in ("/usr/lib/modprobe.d", "/run/modprobe.d", "/etc/modprobe.d")
            for path in host.system.glob(folder + "/*.conf")
        ]
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

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        wanted = {"modprobe": "refused", "loaded": "no"}
        return [
            difference(what, wanted[what], value)
            for what, value in sorted(found.values.items())
            if value != wanted[what]
        ]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        name = state["name"]
        content = host.system.read(MODPROBE_FILE) or ""
        lines = [
            line for line in ("install %s /bin/false" % name, "blacklist %s" % name) if line not in content.splitlines()
        ]
        if found.values["modprobe"] != "refused":
            host.system.write(MODPROBE_FILE, content + "".join(line + "\n" for line in lines))
        if found.values["loaded"] == "yes" and not found.beyond:
            done = host.system.run(["modprobe", "-r", name])
            host.system.forget("modules")
            if done.code != 0:
                raise HardeningError("%s stays loaded until the next boot: %s" % (name, done.said))


def _module_pattern(name):
    # type: (str) -> str
    """The kernel takes - and _ in names of modules for the same."""
    return "".join("[-_]" if letter in "-_" else re.escape(letter) for letter in name)
