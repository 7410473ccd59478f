"""Files and directories: owner, mode, content, absence; settings and lines in text files."""

from __future__ import absolute_import, division, print_function

import re

from ..compare import accepted, difference, text, wanted_text
from ..textfile import get, put
from .base import Found, NotApplicableError, Resource, listed

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


class Setting(Resource):
    """One key of a program's configuration.

    ``files``: where the program reads it, the last one wins; ``write``: where to set it (the last of ``files``); ``default``: what holds
    when it is not set. Files that are read after ``write`` and set the key otherwise are corrected too.
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
        "default": "value",
        "restart": "texts",
        "reload": "texts",
    }

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        value = None
        for path in _reading_order(host, state):
            here = _get(host.system.read(path) or "", state)
            value = here if here is not None else value
        default = state.get("default")
        return Found({state["key"]: value if value is not None or default is None else text(default)})

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        value = found.values[state["key"]]
        if accepted(value, state["value"], state.get("accept")):
            return []
        return [difference(state["key"], wanted_text(state["value"], state.get("accept")), value)]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        target = state.get("write") or listed(state["files"])[-1]
        order = _reading_order(host, state)
        later = order[order.index(target) + 1 :] if target in order else []
        for path in [target] + later:
            before = host.system.read(path) or ""
            here = _get(before, state)
            contrary = here is not None and not accepted(here, state["value"], state.get("accept"))
            if path == target or contrary:
                arguments = (state.get("section"), state.get("separator", "="))
                host.system.write(path, put(before, state["key"], text(state["value"]), *arguments))
        have_reread(host, state)


def _get(content, state):
    # type: (str, Dict[str, Any]) -> Optional[str]
    return get(content, state["key"], state.get("section"), state.get("separator", "="))


def _reading_order(host, state):
    # type: (Host, Dict[str, Any]) -> List[str]
    order = []  # type: List[str]
    target = state.get("write")
    for pattern in listed(state["files"]):
        found = host.system.glob(pattern)
        if target and target not in found and _covers(pattern, target):
            found = sorted(found + [target])
        order += found
    return order


def _covers(pattern, path):
    # type: (str, str) -> bool
    expression = re.escape(pattern).replace(r"\*", "[^/]*")
    return re.match("^%s$" % expression, path) is not None


class Lines(Resource):
    """Lines that text files must have (``present``: pattern and the line to add) and must not have (``absent``: patterns).

    ``replace``: each line like the pattern becomes the given one, as far in as it was: the body of an ``if`` can't be left empty.
    """

    name = "lines"
    guard = "files"
    fields = {
        "path": "text!",
        "present": "lines",
        "absent": "texts",
        "replace": "lines",
        "missing": "missing",
        "mode": "mode",
        "restart": "texts",
        "reload": "texts",
    }

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        values = {}  # type: Dict[str, Any]
        for path in _matching(host, state["path"]):
            content = host.system.read(path)
            if content is None and state.get("missing", "ok") == "ok":
                raise NotApplicableError("%s does not exist" % path)
            lines = (content or "").splitlines()
            for item in state.get("present", []):
                values["%s: %s" % (path, item["line"])] = _first(lines, item["pattern"])
            for pattern in listed(state.get("absent")) + [item["pattern"] for item in state.get("replace", [])]:
                values["%s: no line like %s" % (path, pattern)] = _first(lines, pattern)
        return Found(values)

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        result = []  # type: List[Difference]
        for what, line in sorted(found.values.items()):
            unwanted = ": no line like " in what
            if unwanted and line is not None:
                result.append(difference(what, "no such line", line))
            elif not unwanted and line is None:
                result.append(difference(what, "a line like it", None))
        return result

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        wrong = [what.partition(": ")[0] for what, _wanted, _value in self.diff(state, found)]
        for path in _matching(host, state["path"]):
            if path in wrong:
                mode = _mode(state["mode"]) if "mode" in state and not host.system.exists(path) else None
                host.system.write(path, _corrected(host.system.read(path) or "", state), mode)
        have_reread(host, state)


def _matching(host, pattern):
    # type: (Host, str) -> List[str]
    """The paths that are there; the pattern itself if none is."""
    return host.system.glob(pattern) or [pattern]


def _corrected(content, state):
    # type: (str, Dict[str, Any]) -> str
    """The text with the lines that the state asks for. Pure."""
    lines = content.splitlines()
    for pattern in listed(state.get("absent")):
        lines = [line for line in lines if not re.search(pattern, line)]
    for item in state.get("replace", []):
        lines = [_indent(line) + item["line"] if re.search(item["pattern"], line) else line for line in lines]
    for item in state.get("present", []):
        if _first(lines, item["pattern"]) is None:
            lines.append(item["line"])
    return "\n".join(lines) + "\n"


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
