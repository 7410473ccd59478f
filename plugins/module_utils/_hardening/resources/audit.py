# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's audit records."""

from __future__ import absolute_import, division, print_function

import os
import re

from ..._host.errors import HostError
from ..._host.text import lines_of, without_comments
from .base import Found, NotApplicableError, Resource, listed
from .walk import set_id_programs

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Set, Tuple  # noqa: F401

    from ..host import Host  # noqa: F401

RULES = "/etc/audit/rules.d/50-fleet-hardening.rules"
RULES_PATTERN = "/etc/audit/rules.d/*.rules"
COMPILED = "/etc/audit/audit.rules"
SET_ID = "{set-id}"
"""In a rule: one rule for each such program of this host."""
WHITE_SPACE = re.compile(r"\s")
UNSET = ("unset", "-1", "4294967295")
"""Three names of the login id of a process that nobody has logged in for."""
NOT_ON_ARM = ("open", "creat", "chmod", "chown", "lchown", "unlink", "rename", "create_module", "query_module")
LOCKED = "the rules are locked until the next boot"


class AuditRule(Resource):
    """Rules (as auditctl takes them) that must be in a file of rules.d and loaded. What is not there needs no rule.

    A rule with SET_ID in it stands for one rule for each program with set-id bits that was found on the host.
    """

    name = "audit_rule"
    desired = "recorded"
    fields = {"rules": "texts!"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        if not host.system.exists("/etc/audit/rules.d"):
            raise host.absence("audit", "/etc/audit/rules.d")
        configured = host.system.cached("audit rules", lambda: _configured(host))
        loaded, closed = host.system.cached("audit kernel", lambda: _loaded(host))
        values, beyond = {}, {}  # type: Dict[str, Any], Dict[str, str]
        for rule in _desired(host, state):
            parsed = canonical(rule)
            values["at boot: " + rule] = "recorded" if parsed in configured else None
            values["now: " + rule] = "recorded" if parsed in loaded else None
            if closed:
                beyond["now: " + rule] = closed
        for path in _unwritable(host, state):
            values["no rule can name " + path] = "a path with white space: move or remove it, or take its set-id bits"
        if not values:
            raise NotApplicableError("nothing that the rules are about is installed")
        return Found(values, beyond)

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        content = host.system.read(RULES) or ""
        missing = [rule for rule in _desired(host, state) if found.values["at boot: " + rule] is None]
        if missing:
            host.system.write(RULES, content + "".join(rule + "\n" for rule in missing), 0o600)
            host.system.forget("audit rules")
        for rule in _desired(host, state):
            what = "now: " + rule
            if found.values[what] is None and what not in found.beyond:
                host.system.forget("audit kernel")
                host.system.do(["auditctl"] + rule.split())


def _desired(host, state):
    # type: (Host, Dict[str, Any]) -> List[str]
    """The rules for this host: one auditctl refuses, or a file of rules it is in, would leave all that follow it out at boot."""
    rules = []  # type: List[str]
    for rule in (for_machine(rule, os.uname()[4]) for rule in listed(state["rules"])):
        paths = [path for path in set_id_programs(host) if not WHITE_SPACE.search(path)] if SET_ID in rule else []
        rules += [rule.replace(SET_ID, path) for path in paths] if SET_ID in rule else [rule]
    return [rule for rule in rules if rule and _is_there(host, rule)]


def _unwritable(host, state):
    # type: (Host, Dict[str, Any]) -> List[str]
    """The programs that a rule is asked for and that none can name: auditctl knows no quotes."""
    asked = any(SET_ID in rule for rule in listed(state["rules"]))
    return [path for path in set_id_programs(host) if WHITE_SPACE.search(path)] if asked else []


def _is_there(host, rule):
    # type: (Host, str) -> bool
    """Whether the rule can be loaded, and the program that it is about is there."""
    program = re.search(r"-F path=(\S+)", rule)
    return _loads(host, rule) and (program is None or host.system.exists(program.group(1)))


def _loads(host, rule):
    # type: (Host, str) -> bool
    """Whether auditctl takes the rule: the directory must be there that the file is in, or will be."""
    subject = re.search(r"(?:^-w |-F path=)(\S+)", rule)
    return subject is None or host.system.exists(os.path.dirname(subject.group(1).rstrip("/")) or "/")


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
    """Two spellings of one rule give the same: as people write it, and as auditctl lists it. Pure."""
    words, fields, calls, key = rule.split(), set(), set(), ""  # type: List[str], Set[str], Set[str], str
    for option, value in zip(words[::2], words[1::2]):
        if option == "-S":
            calls.update(call for call in value.split(",") if call != "all")
        elif option == "-k" or (option == "-F" and value.startswith("key=")):
            key = value.rpartition("=")[2]
        elif option == "-p":
            fields.add("perm=" + "".join(sorted(value)))
        elif option in ("-a", "-A"):
            fields.add("list=" + ",".join(sorted(value.split(","))))
        elif option == "-w":
            fields.add("watch=" + (value.rstrip("/") or "/"))
        elif option == "-C":
            sides = re.match(r"^(\w+)(!?=)(\w+)$", value)
            fields.add("compare=" + (sides.group(2).join(sorted(sides.group(1, 3))) if sides else value))
        else:
            name, sign, name_value = re.match(r"^([^=!<>&]*)([=!<>&]*)(.*)$", value).groups()  # type: ignore[union-attr]
            fields.add(option + name + sign + ("unset" if name == "auid" and name_value in UNSET else name_value))
    return frozenset(fields), frozenset(calls), key


def _configured(host):
    # type: (Host) -> Set[Tuple[Any, ...]]
    texts = [host.system.read(path) or "" for path in host.system.glob(RULES_PATTERN)]
    return {canonical(line) for content in texts for line in without_comments(content) if line.startswith("-")}


def _rules_of(text):
    # type: (str) -> List[str]
    """The rules in a text as they are written there, and what locks them."""
    return [" ".join(line.split()) for line in without_comments(text) if re.match(r"-[aAwe]\s", line)]


def _for_boot(host):
    # type: (Host) -> List[str]
    """What augenrules makes of rules.d: all rules by the files' names, numbers as numbers, and at the end the last word on locking."""
    paths = sorted(host.system.glob(RULES_PATTERN), key=lambda path: re.sub(r"\d+", lambda n: n.group().zfill(9), path))
    lines = [line for path in paths for line in _rules_of(host.system.read(path) or "")]
    return [line for line in lines if not line.startswith("-e")] + [line for line in lines if line.startswith("-e")][
        -1:
    ]


class AuditCompiled(Resource):
    """The one file that is loaded at boot must have what those in rules.d say, what locks the rules at its end.

    It must not have a rule that can't be loaded, of a program that was removed with its directory, say: loading ends there.
    """

    name = "audit_compiled"
    desired = "compiled"
    fields = {}  # type: Dict[str, str]

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        if not host.system.exists("/etc/audit/rules.d"):
            raise host.absence("audit", "/etc/audit/rules.d")
        desired, compiled = _for_boot(host), _rules_of(host.system.read(COMPILED) or "")
        values = {}  # type: Dict[str, Any]
        for rule in set(desired + compiled):
            if not _loads(host, rule):
                values[rule] = "about nothing that is there: loading ends at it"
            elif rule in compiled:
                values[rule] = "compiled" if rule in desired else "in %s only" % COMPILED
            else:
                values[rule] = "in rules.d only"
        if desired[-1:] != compiled[-1:]:
            values["the last rule"] = compiled[-1] if compiled else None
        return Found(values)

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        host.system.keep(COMPILED)
        own = host.system.read(RULES) or ""
        kept = "".join(line + "\n" for line in lines_of(own) if _loads(host, line))
        if kept != own:
            host.system.write(RULES, kept)
            host.system.forget("audit rules")
        host.system.do(["augenrules"])


def _loaded(host):
    # type: (Host) -> Tuple[Set[Tuple[Any, ...]], str]
    """(the rules in the kernel, why they can't be changed or '')."""
    if host.container:
        return set(), "audit belongs to the kernel that this container shares"
    shown = host.system.run(["auditctl", "-l"])
    if shown.code != 0:
        raise HostError("Cannot list the audit rules: auditctl -l: %s. Is audit switched off at boot?" % shown.output)
    status = host.system.run(["auditctl", "-s"]).out
    rules = {canonical(line) for line in shown.out.splitlines() if line.startswith("-")}
    return rules, LOCKED if re.search(r"^enabled 2$", status, re.MULTILINE) else ""
