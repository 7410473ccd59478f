"""What the boot loader hands to the kernel, and the system's cryptographic policy."""

from __future__ import absolute_import, division, print_function

import re

from ..compare import difference
from ..system import HardeningError
from .base import Found, NotApplicableError, Resource

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

CRYPTO_POLICY = "/etc/crypto-policies/config"


class BootArgument(Resource):
    """An argument of every kernel that can be booted. Without ``value`` it must not be there; ``at_least`` makes it a lower bound."""

    name = "boot_argument"
    fields = {"argument": "word!", "value": "text", "at_least": "flag"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        lines = host.system.cached("grubby", lambda: _arguments(host))
        return Found({kernel: _value(line, state["argument"]) for kernel, line in lines.items()})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        wanted = state.get("value")
        return [
            difference("%s: %s" % (kernel, state["argument"]), "absent" if wanted is None else wanted, value)
            for kernel, value in sorted(found.values.items())
            if not _will_do(value, wanted, state.get("at_least"))
        ]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        if state.get("value") is None:
            option = "--remove-args=%s" % state["argument"]
        else:
            option = "--args=%s=%s" % (state["argument"], state["value"])
        done = host.system.run(["grubby", "--update-kernel=ALL", option], timeout=60)
        host.system.forget("grubby")
        if done.code != 0:
            raise HardeningError("grubby --update-kernel=ALL %s: %s" % (option, done.said))


def _arguments(host):
    # type: (Host) -> Dict[str, str]
    """Kernel -> its arguments, as the boot loader has them."""
    done = host.system.run(["grubby", "--info=ALL"])
    if host.container or done.code == 127:
        raise NotApplicableError("no boot loader that grubby knows")
    if done.code != 0:
        raise HardeningError("Cannot ask the boot loader: grubby --info=ALL: %s" % done.said)
    kernels = re.findall(r'^kernel="?([^"\n]+)"?$', done.out, re.MULTILINE)
    return dict(zip(kernels, re.findall(r'^args="?(.*?)"?$', done.out, re.MULTILINE)))


def _value(line, argument):
    # type: (str, str) -> Optional[str]
    found = [word.partition("=")[2] for word in line.split() if word.partition("=")[0] == argument]
    return found[-1] if found else None


def _will_do(value, wanted, at_least):
    # type: (Optional[str], Optional[str], Optional[bool]) -> bool
    if wanted is None or value is None:
        return value == wanted
    if at_least:
        return value.isdigit() and int(value) >= int(wanted)
    return value == wanted


class CryptoPolicy(Resource):
    """The policy that the system's TLS and SSH libraries follow. ``refuse``: names that will not do; then ``value`` is set."""

    name = "crypto_policy"
    fields = {"value": "word!", "refuse": "texts!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        content = host.system.read(CRYPTO_POLICY)
        if content is None:
            raise NotApplicableError("this system has no cryptographic policy")
        lines = [line.strip() for line in content.splitlines() if line.strip() and not line.startswith("#")]
        return Found({"policy": lines[-1] if lines else None})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        value = found.values["policy"]
        good = value is not None and value.split(":")[0] not in state["refuse"]
        return [] if good else [difference("policy", state["value"], value)]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        host.system.keep(CRYPTO_POLICY)
        done = host.system.run(["update-crypto-policies", "--set", state["value"]], timeout=60)
        if done.code != 0:
            raise HardeningError("update-crypto-policies --set %s: %s" % (state["value"], done.said))
