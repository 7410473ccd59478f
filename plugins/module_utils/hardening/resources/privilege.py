"""sudo and PAM."""

from __future__ import absolute_import, division, print_function

import re

from ..compare import accepted, difference, text, wanted_text
from ..system import HardeningError
from ..textfile import without_comments
from .base import Found, NotApplicableError, Resource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401

SUDOERS = "/etc/sudoers"
SUDOERS_OURS = "/etc/sudoers.d/zz_fleet_hardening"
"""Read last, and without a dot in its name: sudo skips names with one."""


class SudoDefault(Resource):
    """A ``Defaults`` setting that holds for everybody. ``value`` is true for a flag."""

    name = "sudo_default"
    guard = "sudo"
    fields = {"option": "text!", "value": "value!", "accept": "accept"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        content = host.system.read(SUDOERS)
        if content is None:
            raise NotApplicableError("sudo is not installed")
        texts = [content] + [host.system.read(path) or "" for path in sudoers_files(host)]
        return Found({state["option"]: default_value(texts, state["option"])})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        value = found.values[state["option"]]
        if accepted(value, state["value"], state.get("accept")):
            return []
        return [difference("Defaults " + state["option"], wanted_text(state["value"], state.get("accept")), value)]

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
            for old in (host.system.read(SUDOERS_OURS) or "").splitlines()
            if not re.match(r"^Defaults\s+!?%s(\s*=.*)?$" % re.escape(option), old)
        ]
        stage(host, SUDOERS_OURS, "\n".join(kept + [line]) + "\n")


class SudoRules(Resource):
    """Rules that no sudoers file may hold (``absent``: a tag such as ``!authenticate`` on a Defaults line).

    ``replace``: what stands in its place instead of the line being dropped; ``spare_users``: rules of the users in use are left alone.
    """

    name = "sudo_rule"
    guard = "sudo"
    fields = {"absent": "text!", "replace": "text", "spare_users": "flag"}

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        paths = [SUDOERS] + sudoers_files(host)
        lines = [(path, line) for path in paths for line in without_comments(host.system.read(path) or "")]
        return Found({path: line for path, line in lines if _unwanted(host, state, line)})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        return [difference(path, "no '%s'" % state["absent"], line) for path, line in sorted(found.values.items())]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        for path in found.values:
            lines = (host.system.read(path) or "").splitlines()
            result = []  # type: List[str]
            for line in lines:
                if line.lstrip().startswith("#") or not _unwanted(host, state, line):
                    result.append(line)
                elif "replace" in state:
                    result.append(re.sub(state["absent"], state["replace"], line))
            stage(host, path, "\n".join(result) + "\n")


def _unwanted(host, state, line):
    # type: (Host, Dict[str, Any], str) -> bool
    spared = bool(state.get("spare_users")) and host.uses("users", line.split()[0] if line.split() else "")
    return not spared and re.search(state["absent"], line) is not None


def sudoers_files(host):
    # type: (Host) -> List[str]
    """The included files, in the order in which sudo reads them."""
    return [
        path
        for path in host.system.glob("/etc/sudoers.d/*")
        if "." not in path.rsplit("/", 1)[1] and not path.endswith("~")
    ]


def default_value(texts, option):
    # type: (List[str], str) -> Optional[str]
    """The last value of a ``Defaults`` setting in sudoers texts: 'yes' or 'no' for a flag; None if it is not set."""
    found = None  # type: Optional[str]
    for line in [line for content in texts for line in without_comments(content)]:
        match = re.match(r"^Defaults\s+(.*)$", line)
        for item in re.split(r",\s*(?=!?[a-z_]+)", match.group(1)) if match else []:
            name, equals, value = item.strip().partition("=")
            if name.strip() == option:
                found = value.strip().strip('"') if equals else "yes"
            elif name.strip() == "!" + option:
                found = "no"
    return found


def stage(host, path, content):
    # type: (Host, str, str) -> None
    """Write a sudoers file that visudo has found good."""
    checked = host.system.run(["visudo", "-cf", "-"], stdin=content)
    if checked.code != 0:
        raise HardeningError("visudo refuses what was to be written to %s: %s" % (path, checked.said))
    host.system.write(path, content, 0o440)


class PamRule(Resource):
    """An entry of PAM stacks. ``service``: file names in /etc/pam.d; ``module`` with the arguments ``arguments`` and none of ``without``.

    ``having``: the argument that tells this entry from others of the same module. ``add``: if the entry is missing, add ``control``
    ``module`` there: before the first entry that matches the pattern. ``authselect``: the feature that does the same where authselect owns
    the stacks.
    """

    name = "pam"
    guard = "pam"
    fields = {
        "service": "texts!", "type": "text!", "module": "text!", "control": "text", "arguments": "texts", "without": "texts",
        "having": "text", "add": "text", "authselect": "text",
    }  # fmt: skip

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        values = {}  # type: Dict[str, Any]
        for service in listed(state["service"]):
            content = host.system.read("/etc/pam.d/" + service)
            if content is not None:
                values["/etc/pam.d/" + service] = pam_entry(
                    content, state["type"], state["module"], state.get("having")
                )
        if not values:
            raise NotApplicableError("no PAM stack %s" % " or ".join(listed(state["service"])))
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
            words = entry.split()
            for argument in listed(state.get("arguments")):
                if argument not in words:
                    result.append(difference(what, "with " + argument, entry))
            for argument in listed(state.get("without")):
                if any(word == argument or word.startswith(argument + "=") for word in words):
                    result.append(difference(what, "without " + argument, entry))
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        paths = sorted(found.values)
        if any(is_authselects(host, path) for path in paths):
            feature = state.get("authselect")
            if not feature:
                raise HardeningError("authselect owns %s and has no feature for this" % " and ".join(paths))
            for path in paths:
                host.system.keep(path)
            done = host.system.run(["authselect", "enable-feature", feature])
            if done.code != 0:
                raise HardeningError("authselect enable-feature %s: %s" % (feature, done.said))
            return
        for path in paths:
            host.system.write(path, with_pam_entry(host.system.read(path) or "", state))


def is_authselects(host, path):
    # type: (Host, str) -> bool
    content = host.system.read(path) or ""
    return "Generated by authselect" in content


def _parsed(line):
    # type: (str) -> Optional[Tuple[str, str, str, List[str]]]
    """(type, control, module, arguments) of a PAM line."""
    found = re.match(r"^\s*-?(\w+)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)$", line)
    if not found or line.lstrip().startswith("#"):
        return None
    return found.group(1), found.group(2), found.group(3), found.group(4).split()


def pam_entry(content, kind, module, having=None):
    # type: (str, str, str, Optional[str]) -> Optional[str]
    """The first entry of that type and module (and argument), with single spaces; None if there is none."""
    for line in content.splitlines():
        entry = _parsed(line)
        if entry and _is_it(entry, kind, module, having):
            return " ".join(line.split())
    return None


def _is_it(entry, kind, module, having):
    # type: (Tuple[str, str, str, List[str]], str, str, Optional[str]) -> bool
    return entry[0] == kind and entry[2].rsplit("/", 1)[-1] == module and (having is None or having in entry[3])


def with_pam_entry(content, state):
    # type: (str, Dict[str, Any]) -> str
    """The stack with the entry as ``state`` wants it. Pure."""
    kind, module = state["type"], state["module"]
    lines, done = [], False
    for old in content.splitlines():
        line, entry = old, _parsed(old)
        if entry and _is_it(entry, kind, module, state.get("having")):
            unwanted = listed(state.get("without"))
            words = [w for w in entry[3] if w not in unwanted and w.split("=")[0] not in unwanted]
            named = [w.partition("=")[0] for w in listed(state.get("arguments")) if "=" in w]
            words = [w for w in words if w.partition("=")[0] not in named or w in listed(state.get("arguments"))]
            words += [w for w in listed(state.get("arguments")) if w not in words]
            line, done = _line(kind, entry[1], entry[2], words), True
        lines.append(line)
    if not done and "add" in state:
        new = _line(
            kind, state.get("control", "required"), module, listed(state.get("having")) + listed(state.get("arguments"))
        )
        places = [number for number, line in enumerate(lines) if re.search(state["add"], line)]
        lines.insert(places[0] if places else len(lines), new)
    return "\n".join(lines) + "\n"


def _line(kind, control, module, words):
    # type: (str, str, str, List[str]) -> str
    return ("%-11s %-13s %s %s" % (kind, control, module, " ".join(words))).rstrip()
