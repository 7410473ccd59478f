# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories: owner, mode, content, absence; settings and lines in text files."""

from __future__ import absolute_import, division, print_function

import re

from ..._host.drop_ins import SYSTEMD, files_read, in_etc, systemd_drop_ins
from ..._host.text import get, lines_of, put, spelled
from ..compare import accepted, difference, text
from .base import Found, NotApplicableError, Resource, ValueResource, listed

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401


class File(Resource):
    """``mode`` is the most that is allowed: fewer permissions also do. ``owner``, ``group``: any of those listed does, the first is set."""

    name = "file"
    guard = "files"
    fields = {
        "path": "texts!",
        "mode": "mode",
        "owner": "texts",
        "group": "texts",
        "content": "text",
        "absent": "flag",
        "missing": "missing",
    }

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        paths = [path for pattern in listed(state["path"]) for path in _matching(host, pattern)]
        values = {}  # type: Dict[str, Any]
        for path in paths:
            there = host.system.stat(path)
            if there and there["kind"] == "other" and not state.get("absent"):
                there = None  # a link to /dev/null is no file that somebody could read or write
            values[path] = "%04o %s:%s" % (there["mode"], there["owner"], there["group"]) if there else None
            if "content" in state:
                values[path + " content"] = host.system.read(path)
        missing = [path for path in paths if values[path] is None]
        if not state.get("absent") and state.get("missing", "ok") == "ok" and "content" not in state:
            if len(missing) == len(paths):
                raise NotApplicableError("%s does not exist" % " and ".join(missing))
            values = {path: value for path, value in values.items() if path not in missing}
        return Found(values)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        result = []  # type: List[Difference]
        for what, value in sorted(found.values.items()):
            if what.endswith(" content"):
                if value != state["content"]:
                    result.append(difference(what, _excerpt(state["content"]), _excerpt(value)))
            elif state.get("absent"):
                if value is not None:
                    result.append(difference(what, "absent", value))
            elif value is None:
                result.append(difference(what, "present", None))
            else:
                result += _attribute_differences(what, value, state)
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        for what, value in sorted(found.values.items()):
            if what.endswith(" content"):
                continue
            if state.get("absent"):
                if value is not None:
                    host.system.remove(what)
                continue
            if "content" in state and found.values[what + " content"] != state["content"]:
                host.system.write(what, state["content"])
            elif value is None:
                host.system.write(what, "")
            _apply_attributes(host, what, state)


def _excerpt(content):
    # type: (Optional[str]) -> Optional[str]
    if content is None:
        return None
    line = " ".join(content.split())
    return line if len(line) <= 80 else line[:77] + "..."


def _mode(value):
    # type: (Any) -> int
    return int("%s" % (value,), 8)


def _attribute_differences(path, value, state):
    # type: (str, str, Dict[str, Any]) -> List[Difference]
    """``value``: '0644 root:root'."""
    result = []  # type: List[Difference]
    mode, _space, names = value.partition(" ")
    owner, _colon, group = names.partition(":")
    if "mode" in state and int(mode, 8) & ~_mode(state["mode"]):
        result.append(difference(path + " mode", "%04o or less" % _mode(state["mode"]), mode))
    for what, name in (("owner", owner), ("group", group)):
        if what in state and name not in listed(state[what]):
            result.append(difference("%s %s" % (path, what), " or ".join(listed(state[what])), name))
    return result


def _apply_attributes(host, path, state):
    # type: (Host, str, Dict[str, Any]) -> None
    there = host.system.stat(path)
    if there is None:
        return
    mode = there["mode"] & _mode(state["mode"]) if "mode" in state else there["mode"]
    change = {}  # type: Dict[str, Any]
    if mode != there["mode"]:
        change["mode"] = mode
    for what in ("owner", "group"):
        if what in state and there[what] not in listed(state[what]):
            change[what] = listed(state[what])[0]
            # A change of owner clears the set-id bits, so the mode is always set after it.
            change["mode"] = mode
    if change:
        host.system.set_attributes(path, **change)


class Setting(ValueResource):
    """One key of a program's configuration.

    ``files``: where the program reads it, the last one wins (drop-ins of systemd's programs: in all folders that they read);
    ``write``: where to set it (the last of ``files``); ``default``: what applies when it is not set; ``any_case``: keys may be in capitals
    (auditd's: kw_lookup in its auditd-config.c uses strcasecmp). Files that are read after
    ``write`` and set the key otherwise are corrected too, those of packages by one of the same name in /etc.
    """

    name = "setting"
    guard = "files"
    fields = {
        "files": "texts!",
        "write": "text",
        "section": "text",
        "key": "text!",
        "value": "value!",
        "accept": "accept",
        "separator": "text",
        "any_case": "flag",
        "default": "value",
        "restart": "texts",
        "reload": "texts",
    }

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        value = None
        for path in _reading_order(host, state):
            here = _get(_content(host, path, state), state)
            value = here if here is not None else value
        if value == "" and state.get("section") and _of_systemd(state):
            value = None  # systemd takes an empty value for its own default
        default = state.get("default")
        return Found({state["key"]: value if value is not None or default is None else text(default)})

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        target = state.get("write") or listed(state["files"])[-1]
        order = _reading_order(host, state)
        later = order[order.index(target) + 1 :] if target in order else []
        for path in [target] + later:
            before = _content(host, path, state)
            here = _get(before, state)
            contrary = here is not None and not accepted(here, state["value"], state.get("accept"))
            if path == target or contrary:
                arguments = (state.get("section"), state.get("separator", "="))
                host.system.write(in_etc(path), put(before, state["key"], text(state["value"]), *arguments))
        have_reread(host, state)


def _get(content, state):
    # type: (str, Dict[str, Any]) -> Optional[str]
    return get(content, state["key"], state.get("section"), state.get("separator", "="))


def _content(host, path, state):
    # type: (Host, str, Dict[str, Any]) -> str
    content = host.system.read(path) or ""
    return spelled(content, state["key"]) if state.get("any_case") else content


def _reading_order(host, state):
    # type: (Host, Dict[str, Any]) -> List[str]
    order = []  # type: List[str]
    target = state.get("write")
    for pattern in listed(state["files"]):
        ours = target if target and _covers(pattern, target) else None
        if SYSTEMD.match(pattern):
            order += systemd_drop_ins(host.system, pattern, ours)
            continue
        found = host.system.glob(pattern)
        order += sorted(found + [ours]) if ours and ours not in found else found
    return order


def _of_systemd(state):
    # type: (Dict[str, Any]) -> bool
    return any(SYSTEMD.match(pattern) for pattern in listed(state["files"]))


def _covers(pattern, path):
    # type: (str, str) -> bool
    expression = re.escape(pattern).replace(r"\*", "[^/]*")
    return re.match("^%s$" % expression, path) is not None


class Lines(Resource):
    """Lines that text files must not have (``absent``: patterns), and that one of them must have (``present``: pattern, line to add).

    ``path``: one or several, or patterns of them, with what a program's main file includes; what is missing is added to the first.
    ``replace``: each line like the pattern becomes the given one, as far in as it was: the body of an ``if`` can't be left empty.
    ``top_level``: lines in blocks of braces don't count, and what is missing is added before all others, as logrotate reads its settings.
    """

    name = "lines"
    guard = "files"
    fields = {
        "path": "texts!",
        "present": "lines",
        "absent": "texts",
        "replace": "lines",
        "top_level": "flag",
        "missing": "missing",
        "mode": "mode",
        "restart": "texts",
        "reload": "texts",
    }

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        values = {}  # type: Dict[str, Any]
        texts = _texts(host, state)
        if not texts and state.get("missing", "ok") == "ok":
            raise NotApplicableError("%s does not exist" % " and ".join(listed(state["path"])))
        for item in state.get("present", []):
            there = [_first(lines, item["pattern"]) for _path, lines in texts]
            values["%s: %s" % (_first_path(texts, state), item["line"])] = next((line for line in there if line), None)
        for path, lines in texts:
            for pattern in listed(state.get("absent")) + [item["pattern"] for item in state.get("replace", [])]:
                values["%s: no line like %s" % (path, pattern)] = _first(lines, pattern)
        return Found(values)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        result = []  # type: List[Difference]
        for what, line in sorted(found.values.items()):
            undesired = ": no line like " in what
            if undesired and line is not None:
                result.append(difference(what, "no such line", line))
            elif not undesired and line is None:
                result.append(difference(what, "a line like it", None))
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        wrong = [what for what, _desired, _value in self.diff(state, found)]
        texts = _texts(host, state)
        first = _first_path(texts, state)
        missing = [item["line"] for item in state.get("present", []) if "%s: %s" % (first, item["line"]) in wrong]
        for path in [path for path, _lines in texts] or [first]:
            if any(what.startswith(path + ": ") for what in wrong):
                mode = _mode(state["mode"]) if "mode" in state and not host.system.exists(path) else None
                added = missing if path == first else []
                host.system.write(path, _corrected(host.system.read(path) or "", state, added), mode)
        have_reread(host, state)


def _texts(host, state):
    # type: (Host, Dict[str, Any]) -> List[Tuple[str, List[str]]]
    """(path, lines) of each file that is there."""
    found = [path for pattern in listed(state["path"]) for path in files_read(host.system, pattern)]
    paths = sorted(set(found), key=found.index)
    return [(path, _that_count(lines_of(host.system.read(path) or ""), state)) for path in paths]


def _that_count(lines, state):
    # type: (List[str], Dict[str, Any]) -> List[str]
    """The lines; with ``top_level`` those in blocks are empty."""
    result, depth = [], 0  # type: List[str], int
    for line in lines if state.get("top_level") else ():
        said = line.partition("#")[0].strip()
        depth = max(0, depth - 1) if said == "}" else depth
        result.append("" if depth else line)
        depth += 1 if said.endswith("{") else 0
    return result if state.get("top_level") else lines


def _first_path(texts, state):
    # type: (List[Tuple[str, List[str]]], Dict[str, Any]) -> str
    """Where a missing line is added."""
    return texts[0][0] if texts else listed(state["path"])[0]


def _matching(host, pattern):
    # type: (Host, str) -> List[str]
    """The paths that are there; the pattern itself if none is."""
    return host.system.glob(pattern) or [pattern]


def _corrected(content, state, added):
    # type: (str, Dict[str, Any], List[str]) -> str
    """The text with the lines that the state asks for; ``added``: those that are missing. Pure."""
    lines = lines_of(content)
    for pattern in listed(state.get("absent")):
        counted = _that_count(lines, state)
        lines = [line for line, seen in zip(lines, counted) if not re.search(pattern, seen)]
    for item in state.get("replace", []):
        counted = _that_count(lines, state)
        lines = [
            _indent(line) + item["line"] if re.search(item["pattern"], seen) else line
            for line, seen in zip(lines, counted)
        ]
    return "\n".join(added + lines if state.get("top_level") else lines + added) + "\n"


def have_reread(host, state):
    # type: (Host, Dict[str, Any]) -> None
    for verb in ("restart", "reload"):
        for unit in listed(state.get(verb)):
            host.later(verb, unit)


def _indent(line):
    # type: (str) -> str
    return line[: len(line) - len(line.lstrip())]


def _first(lines, pattern):
    # type: (List[str], str) -> Optional[str]
    return next((line for line in lines if re.search(pattern, line)), None)
