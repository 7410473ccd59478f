# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the boot loader hands to the kernel, and the system's cryptographic policy."""

from __future__ import absolute_import, division, print_function

import re

from ..._host.errors import HostError
from ..._host.text import lines_of
from ..compare import difference
from .base import Found, NotApplicableError, Resource, listed
from .selinux import not_without_proof

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

CRYPTO_POLICY = "/etc/crypto-policies/config"
DEFAULTS = "/etc/default/grub"
COMMAND_LINE = "/etc/kernel/cmdline"
DEFAULT_ENTRY = re.compile(r"""(?m)^(GRUB_CMDLINE_LINUX(?:_DEFAULT)?)=(["']?)(.*?)\2[ \t]*$""")


class BootArgument(Resource):
    """An argument of every kernel that can be booted, and of those that updates will bring.

    Without ``value`` it must not be there; ``at_least`` makes it a lower bound.
    """

    name = "boot_argument"
    fields = {"argument": "word!", "value": "text", "at_least": "flag"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        lines = host.system.cached("boot arguments", lambda: _arguments(host))
        values = {place: _value(line, state["argument"]) for place, line in lines.items()}
        reason = not_without_proof(host, state["argument"]) if host.enforcing and "value" not in state else None
        return Found(values, {"%s: %s" % (place, state["argument"]): reason for place in values} if reason else {})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        desired = state.get("value")
        return [
            difference("%s: %s" % (place, state["argument"]), "absent" if desired is None else desired, value)
            for place, value in sorted(found.values.items())
            if not _will_do(value, desired, state.get("at_least"))
        ]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        argument, value = state["argument"], state.get("value")
        option = "--remove-args=%s" % argument if value is None else "--args=%s=%s" % (argument, value)
        host.system.forget("boot arguments")
        host.system.do(["grubby", "--update-kernel=ALL", option])
        # Some releases of grubby change these files too, so each is read only now.
        for path, with_argument in ((DEFAULTS, with_default_argument), (COMMAND_LINE, with_words)):
            content = host.system.read(path)
            changed = content if content is None else with_argument(content, argument, value)
            if changed is not None and changed != content:
                host.system.write(path, changed)


def _arguments(host):
    # type: (Host) -> Dict[str, str]
    """Where arguments stand -> the arguments: each kernel of the boot loader, and the files that a new kernel's are taken from."""
    if host.container:
        raise NotApplicableError("a container has no boot loader")
    done = host.system.run(["grubby", "--info=ALL"])
    if done.code == 127:
        raise host.absence("grubby", "the program grubby")
    if done.code != 0:
        raise HostError("Cannot ask the boot loader: grubby --info=ALL: %s" % done.output)
    kernels = re.findall(r'^kernel="?([^"\n]+)"?$', done.out, re.MULTILINE)
    lines = dict(zip(kernels, re.findall(r'^args="?(.*?)"?$', done.out, re.MULTILINE)))
    defaults, command_line = host.system.read(DEFAULTS), host.system.read(COMMAND_LINE)
    if defaults is not None:
        lines[DEFAULTS] = " ".join(entry.group(3) for entry in DEFAULT_ENTRY.finditer(defaults))
    if command_line is not None:
        lines[COMMAND_LINE] = command_line
    return lines


def _value(line, argument):
    # type: (str, str) -> Optional[str]
    found = [word.partition("=")[2] for word in line.split() if word.partition("=")[0] == argument]
    return found[-1] if found else None


def with_words(line, argument, value):
    # type: (str, str, Optional[str]) -> str
    """The arguments with this one set once, or without it. Pure."""
    kept = [word for word in line.split() if word.partition("=")[0] != argument]
    words = " ".join(kept if value is None else kept + ["%s=%s" % (argument, value)])
    return words + "\n" if line.endswith("\n") else words


def with_default_argument(content, argument, value):
    # type: (str, str, Optional[str]) -> str
    """/etc/default/grub with the argument in the line for every kernel (GRUB_CMDLINE_LINUX) and in no other. Pure."""

    def rewritten(entry):
        # type: (Any) -> str
        own = value if entry.group(1) == "GRUB_CMDLINE_LINUX" else None
        return "%s=%s%s%s" % (
            entry.group(1),
            entry.group(2) or '"',
            with_words(entry.group(3), argument, own),
            entry.group(2) or '"',
        )

    if value is not None and not re.search(r"(?m)^GRUB_CMDLINE_LINUX=", content):
        content += ("" if content.endswith("\n") or not content else "\n") + 'GRUB_CMDLINE_LINUX=""\n'
    return DEFAULT_ENTRY.sub(rewritten, content)


def _will_do(value, desired, at_least):
    # type: (Optional[str], Optional[str], Optional[bool]) -> bool
    if desired is None or value is None:
        return value == desired
    if at_least:
        return value.isdigit() and int(value) >= int(desired)
    return value == desired


class CryptoPolicy(Resource):
    """The policy that the system's TLS and SSH libraries follow. ``refuse``: policies and modules for which ``value`` is set instead."""

    name = "crypto_policy"
    fields = {"value": "word!", "refuse": "texts!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        content = host.system.read(CRYPTO_POLICY)
        if content is None:
            raise host.absence("crypto-policies", CRYPTO_POLICY)
        lines = [line.strip() for line in lines_of(content) if line.strip() and not line.startswith("#")]
        return Found({"policy": lines[-1] if lines else None})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        value = found.values["policy"]
        good = value is not None and not set(value.split(":")) & set(listed(state["refuse"]))
        return [] if good else [difference("policy", state["value"], value)]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        host.system.keep(CRYPTO_POLICY)
        host.system.do(["update-crypto-policies", "--set", state["value"]])
