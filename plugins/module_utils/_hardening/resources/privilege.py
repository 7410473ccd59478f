# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sudo and PAM."""

from __future__ import absolute_import, division, print_function

import re

from ..._host import pam
from ..._host.accounts import write_sudoers
from ..._host.errors import HostError
from ..._host.guard import SESSION_USER
from ..._host.sudo_rules import MAIN as SUDOERS
from ..._host.sudo_rules import (
    Policy,
    account,
    applies_to_all,
    edited,
    means_others,
    shown,
    tag_name,
    without_option,
    without_tag,
)
from ..._host.text import lines_of
from ..compare import accepted, difference, text
from . import authselect
from .base import Found, Resource, ValueResource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, List, Optional  # noqa: F401

    from ..._host.sudo_rules import Account, Aliases  # noqa: F401
    from ..._host.sudoers import Entry, Option  # noqa: F401
    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

SUDOERS_OURS = "/etc/sudoers.d/zz_fleet_hardening"
"""Read last, and without a dot in its name: sudo skips names with one."""


class SudoDefault(ValueResource):
    """A ``Defaults`` setting that applies to everybody. ``value`` is true for a flag."""

    name = "sudo_default"
    guard = "sudo"
    fields = {"option": "text!", "value": "value!", "accept": "accept"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        if not host.system.exists(SUDOERS):
            raise host.absence("sudo", SUDOERS)
        return Found({"Defaults " + state["option"]: Policy(host).value(state["option"])})

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        option, value = state["option"], state["value"]
        if value is True or value is False:
            line = "Defaults %s%s" % ("" if value else "!", option)
        else:
            quoted = text(value) if re.match(r"^[-\w./]+$", text(value)) else '"%s"' % text(value)
            line = "Defaults %s=%s" % (option, quoted)
        kept = [
            old
            for old in lines_of(host.system.read(SUDOERS_OURS) or "")
            if not re.match(r"^Defaults\s+!?%s(\s*=.*)?$" % re.escape(option), old)
        ]
        write_sudoers(host, SUDOERS_OURS, "\n".join(kept + [line]) + "\n")
        _drop_later(host, option)


def _drop_later(host, option):
    # type: (Host, str) -> None
    """Take the setting out of what sudo reads after our file: the last one wins."""
    policy = Policy(host)
    if SUDOERS_OURS not in policy.paths:
        raise HostError(
            "%s does not include /etc/sudoers.d, so sudo would not read %s. Add the line '#includedir /etc/sudoers.d' at its "
            "end" % (SUDOERS, SUDOERS_OURS)
        )
    settings = policy.settings(option)
    ours = max(number for number, item in enumerate(settings) if item[0].path == SUDOERS_OURS)
    first = {}  # type: Dict[str, int]
    for source, entry, _item in settings[ours + 1 :]:
        first.setdefault(source.path, entry.start)

    for path, start in first.items():

        def change(content, entries, start=start):
            # type: (str, List[Entry], int) -> Optional[str]
            for entry in entries:
                for item in entry.options:
                    if entry.start >= start and item.name == option and applies_to_all(entry):
                        return without_option(content, entry, item, [], {})
            return None

        _rewrite(host, path, change)


class SudoRules(Resource):
    """What no rule of sudo may have: the tag ``tag`` (NOPASSWD), or the setting ``option`` ("!authenticate") in any Defaults entry.

    Only that is changed: the tag becomes its opposite, the setting goes. ``spare_users``: the users in use and Session Manager's keep what
    they have, in a rule of their own where theirs is about others too.
    """

    name = "sudo_rule"
    guard = "sudo"
    fields = {"tag": "word", "option": "text", "spare_users": "flag"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        if not host.system.exists(SUDOERS):
            raise host.absence("sudo", SUDOERS)
        if ("tag" in state) == ("option" in state):
            raise HostError("the control's state needs 'tag' or 'option', one of them")
        policy = Policy(host)
        spared = _spared(host, state)
        wrong = [item for item in policy.entries if _undesired(state, item[1], spared, policy.aliases)]
        return Found({"%s, line %d" % (source.path, entry.line): shown(source, entry) for source, entry in wrong})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        undesired = state.get("tag") or state.get("option")
        return [difference(place, "no %s" % undesired, entry) for place, entry in sorted(found.values.items())]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        policy = Policy(host)
        spared = _spared(host, state)

        def change(content, entries):
            # type: (str, List[Entry]) -> Optional[str]
            for entry in entries:
                if _undesired(state, entry, spared, policy.aliases):
                    if "tag" in state:
                        return without_tag(content, entry, state["tag"], spared, policy.aliases)
                    return without_option(content, entry, _options(state, entry)[0], spared, policy.aliases)
            return None

        for path in sorted({place.rpartition(", line ")[0] for place in found.values}):
            _rewrite(host, path, change)


def _spared(host, state):
    # type: (Host, Dict[str, Any]) -> List[Account]
    names = ["%s" % name for name in host.in_use.get("users", [])] + [SESSION_USER]
    return [account(host, name) for name in sorted(set(names))] if state.get("spare_users") else []


def _options(state, entry):
    # type: (Dict[str, Any], Entry) -> List[Option]
    name = state["option"]
    return [item for item in entry.options if (item.negated, item.name) == (name.startswith("!"), name.lstrip("!"))]


def _undesired(state, entry, spared, aliases):
    # type: (Dict[str, Any], Entry, List[Account], Aliases) -> bool
    if "tag" in state:
        has_it = any(tag_name(token.text) == state["tag"] for token in entry.tags)
    else:
        has_it = bool(_options(state, entry))
    whose_own = entry.kind == "rule" or entry.scope == ":"
    return has_it and not (whose_own and spared and not means_others(entry.members, spared, aliases))


def _rewrite(host, path, change):
    # type: (Host, str, Callable[[str, List[Entry]], Optional[str]]) -> None
    before = (host.system.content(path) or b"").decode("latin-1")
    write_sudoers(host, path, edited(before, change).encode("latin-1"))


class PamRule(Resource):
    """An entry of PAM stacks. ``service``: file names in /etc/pam.d; ``module`` with the arguments ``arguments`` and none of ``without``.

    ``at_least``, ``at_most``: names of arguments whose value may also be more, or less but not 0. ``having``: the argument that tells this
    entry from others of the same module. ``add``: if the entry is missing, add ``control`` ``module`` there: before the first entry of the
    type that matches the pattern, in one line with single spaces. ``authselect``: the feature that does the same where authselect owns the
    stacks.
    """

    name = "pam"
    guard = "pam"
    fields = {
        "service": "texts!", "type": "text!", "module": "text!", "control": "text", "arguments": "texts", "without": "texts",
        "at_least": "texts", "at_most": "texts", "having": "text", "add": "text", "authselect": "text",
    }  # fmt: skip

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        values = {}  # type: Dict[str, Any]
        for service in listed(state["service"]):
            content = host.system.read("/etc/pam.d/" + service)
            if content is not None:
                found = pam_entries(content, state)
                # One entry without what is asked for is enough: each of them lets people in.
                wrong = [entry for entry in found if _lacks(entry, state)]
                values["/etc/pam.d/" + service] = next((pam.shown(entry) for entry in wrong + found), None)
        if not values:
            raise host.absence("pam", " and ".join("/etc/pam.d/%s" % name for name in listed(state["service"])))
        return Found(values)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        result = []  # type: List[Difference]
        for path, entry in sorted(found.values.items()):
            what = "%s %s %s" % (path, state["type"], state["module"])
            if entry is None:
                if "add" in state:
                    result.append(difference(what, "an entry", None))
                continue
            result += [difference(what, lack, entry) for lack in _lacks(pam.parts(entry)[0].entry, state)]
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        wrong = {what.partition(" ")[0] for what, _desired, _found in self.diff(state, found)}
        owned = [path for path in sorted(wrong) if authselect.owns(host, path)]
        for path in sorted(wrong.difference(owned)):
            host.system.write(path, with_pam_entry(host.system.read(path) or "", state))
        if owned:
            authselect.enable(host, state.get("authselect"), " and ".join(owned))


def pam_entries(content, state):
    # type: (str, Dict[str, Any]) -> List[pam.Entry]
    """The stack's entries that the state is about."""
    return [part.entry for part in pam.parts(content) if part.entry and _is_it(part.entry, state)]


def _is_it(entry, state):
    # type: (pam.Entry, Dict[str, Any]) -> bool
    having = state.get("having")
    named = entry.module.rsplit("/", 1)[-1] == state["module"] and entry.kind == state["type"]
    return named and (having is None or having in entry.arguments)


def _lacks(entry, state):
    # type: (pam.Entry, Dict[str, Any]) -> List[str]
    """What the entry is to have or to be without, and is not."""
    words, without = entry.arguments, listed(state.get("without"))
    lacks = ["with " + argument for argument in listed(state.get("arguments")) if not _has(words, argument, state)]
    return lacks + ["without " + name for name in without if any(word.partition("=")[0] == name for word in words)]


def _has(words, argument, state):
    # type: (List[str], str, Dict[str, Any]) -> bool
    """Whether the argument is there: once for one with a value, or with a value that is as good by ``at_least`` or ``at_most``."""
    name, equals, value = argument.partition("=")
    there = [word for word in words if equals and word.partition("=")[0] == name]
    if len(there) == 1 and name in listed(state.get("at_least")) + listed(state.get("at_most")):
        limits = {"at_least": value} if name in listed(state.get("at_least")) else {"at_least": 1, "at_most": value}
        return accepted(there[0].partition("=")[2], value, limits)
    return argument in words and len(there) < 2


def with_pam_entry(content, state):
    # type: (str, Dict[str, Any]) -> str
    """The stack with the entry as ``state`` wants it; entries that are as they should be stay to the letter. Pure."""
    desired, undesired = listed(state.get("arguments")), listed(state.get("without"))
    pieces, done = [], False  # type: List[List[str]], bool
    for part in pam.parts(content):
        piece, entry = part.lines, part.entry
        if entry and _is_it(entry, state):
            done = True
            if _lacks(entry, state):
                kept = [w for w in entry.arguments if w.partition("=")[0] not in undesired]
                good = [w for w in desired if _has(entry.arguments, w, state)]
                named = [word.partition("=")[0] for word in desired if "=" in word and word not in good]
                kept = [w for w in kept if w.partition("=")[0] not in named]
                kept += [w for w in desired if w not in good]
                piece = [pam.written(entry._replace(arguments=kept), part.comment)]
        pieces.append(piece)
    if not done and "add" in state:
        words = listed(state.get("having")) + desired
        new = pam.Entry("", state["type"], state.get("control", "required"), state["module"], words)
        after = pam.with_added(content, new, state["add"])
        if after is None:
            # At the end, "[default=die] pam_faillock.so authfail" would refuse who has the right password.
            raise HostError(
                "needs a person: the stack has no entry like '%s', before which '%s' belongs. Add it where this stack needs it"
                % (state["add"], pam.shown(new))
            )
        return after
    return pam.joined(pieces)
