"""What the kernel's audit records."""

from __future__ import absolute_import, division, print_function

import os
import re

from ..compare import difference
from ..system import HardeningError
from ..textfile import without_comments
from .base import Found, NotApplicableError, Resource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, FrozenSet, List, Set, Tuple  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

RULES = "/etc/audit/rules.d/50-fleet-hardening.rules"
RULES_PATTERN = "/etc/audit/rules.d/*.rules"
UNSET = ("unset", "-1", "4294967295")
"""Three names of the login id of a process that nobody has logged in for."""
NOT_ON_ARM = ("open", "creat", "chmod", "chown", "lchown", "unlink", "rename")
LOCKED = "the rules are locked until the next boot"


class AuditRule(Resource):
    """Rules (as auditctl takes them) that must be in a file of rules.d and loaded. A program that is not installed needs no rule."""

    name = "audit_rule"
    fields = {"rules": "texts!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        if not host.system.exists("/etc/audit/rules.d"):
            raise NotApplicableError("audit is not installed")
        configured = host.system.cached("audit rules", lambda: _configured(host))
        loaded, closed = host.system.cached("audit kernel", lambda: _loaded(host))
        values, beyond = {}, {}  # type: Dict[str, Any], Dict[str, str]
        for rule in _wanted(host, state):
            parsed = canonical(rule)
            values["at boot: " + rule] = "recorded" if parsed in configured else None
            values["now: " + rule] = "recorded" if parsed in loaded else None
            if closed:
                beyond["now: " + rule] = closed
        if not values:
            raise NotApplicableError("nothing that the rules are about is installed")
        return Found(values, beyond)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        return [difference(what, "recorded", None) for what, value in sorted(found.values.items()) if value is None]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        content = host.system.read(RULES) or ""
        missing = [rule for rule in _wanted(host, state) if found.values["at boot: " + rule] is None]
        if missing:
            host.system.write(RULES, content + "".join(rule + "\n" for rule in missing), 0o600)
            host.system.forget("audit rules")
        for rule in _wanted(host, state):
            what = "now: " + rule
            if found.values[what] is None and what not in found.beyond:
                done = host.system.run(["auditctl"] + rule.split())
                host.system.forget("audit kernel")
                if done.code != 0:
                    raise HardeningError("auditctl %s: %s" % (rule, done.said))


def _wanted(host, state):
    # type: (Host, Dict[str, Any]) -> List[str]
    """The rules, less those about the use of a program that is not there: auditctl would refuse them."""
    rules = [rule for rule in (for_machine(rule, os.uname()[4]) for rule in listed(state["rules"])) if rule]
    programs = [(rule, re.search(r"-F path=(\S+) -F perm=x", rule)) for rule in rules]
    return [rule for rule, program in programs if program is None or host.system.exists(program.group(1))]


def for_machine(rule, machine):
    # type: (str, str) -> str
    """The rule as this processor's kernel takes it: 64-bit Arm has neither 32-bit calls nor the calls with an ...at() successor. Pure."""
    if machine != "aarch64":
        return rule
    words = rule.split()
    calls = words[words.index("-S") + 1].split(",") if "-S" in words else []
    kept = [call for call in calls if call not in NOT_ON_ARM]
    if "arch=b32" in words or (calls and not kept):
        return ""
    return " ".join(",".join(kept) if calls and word == ",".join(calls) else word for word in words)


def canonical(rule):
    # type: (str) -> Tuple[Any, ...]
    """Two spellings of one rule give the same. Pure."""
    words, fields, calls, key = rule.split(), set(), set(), ""  # type: List[str], Set[str], Set[str], str
    for option, value in zip(words[::2], words[1::2]):
        if option == "-S":
            calls.update(value.split(","))
        elif option == "-k" or (option == "-F" and value.startswith("key=")):
            key = value.rpartition("=")[2]
        elif option == "-p":
            fields.add("perm=" + "".join(sorted(value)))
        elif option in ("-a", "-A"):
            fields.add("list=" + ",".join(sorted(value.split(","))))
        else:
            name, sign, name_value = re.match(r"^([^=!<>&]*)([=!<>&]*)(.*)$", value).groups()  # type: ignore[union-attr]
            fields.add(option + name + sign + ("unset" if name == "auid" and name_value in UNSET else name_value))
    return frozenset(fields), frozenset(calls), key


def _configured(host):
    # type: (Host) -> Set[Tuple[Any, ...]]
    texts = [host.system.read(path) or "" for path in host.system.glob(RULES_PATTERN)]
    return {canonical(line) for content in texts for line in without_comments(content) if line.startswith("-")}


def _loaded(host):
    # type: (Host) -> Tuple[Set[Tuple[Any, ...]], str]
    """(the rules in the kernel, why they can't be changed or '')."""
    if host.container:
        return set(), "audit belongs to the kernel that this container shares"
    shown = host.system.run(["auditctl", "-l"])
    if shown.code != 0:
        raise HardeningError(
            "Cannot list the audit rules: auditctl -l: %s. Is audit switched off at boot?" % shown.said
        )
    status = host.system.run(["auditctl", "-s"]).out
    rules = {canonical(line) for line in shown.out.splitlines() if line.startswith("-")}
    return rules, LOCKED if re.search(r"^enabled 2$", status, re.MULTILINE) else ""
