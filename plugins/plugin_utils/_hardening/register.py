# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register of controls: read from YAML with line numbers, checked against the schema. Nothing wrong in it ever reaches a host."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ...module_utils._hardening.compare import CONDITIONS
from ...module_utils._hardening.registry import TYPES
from ...module_utils._hardening.resources.accounts import AGEING, CHECKS
from ...module_utils._hardening.resources.base import listed
from ...module_utils._hardening.resources.firewall import PARTS
from ...module_utils._hardening.resources.probes import PROBES
from ...module_utils._hardening.resources.walk import CHECKS as WALKS
from ...module_utils._host.host import KINDS_IN_USE, RELEASES

ID = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
CIS_NUMBER = re.compile(r"^\d+(\.\d+)+$")
SEVERITIES = ("low", "medium", "high")
FRAMEWORKS = ("pci_dss", "soc2", "iso27001", "gdpr")
REQUIRED = {"id", "title", "level", "severity", "rationale", "type", "state"}
TEST = {"break", "repair", "cleanup", "outside", "state", "by_hand"}
"""Of a control's test: scripts that break it, repair it where that takes a person, and clean up; whether they run outside of the host;
other state to break it with. Or ``by_hand``: why no machine of the lab can show it, so that its test is one of the unit tests."""
OPTIONAL = {"cis", "applies", "maps", "per_os", "test"}
APPLIES = {"os", "container", "path", "package", "service", "in_use", "unless_in_use"}
RELEASE_NAMES = tuple(RELEASES.values())
Place = tuple[str | int, ...]


class RegisterError(Exception):
    """The register, an exception or an override is wrong; each line of the message names a place and what is wrong there."""


@dataclass(frozen=True)
class Control:
    """One control as the register has it."""

    id: str
    title: str
    level: int
    severity: str
    rationale: str
    type: str
    state: dict[str, Any]
    section: str
    """The register file's stem: its topic."""
    cis: dict[str, list[str]] = field(default_factory=dict)
    """Release → the recommendations that the control is part of; the register writes a single one without a list."""
    applies: dict[str, Any] = field(default_factory=dict)
    maps: dict[str, list[str]] = field(default_factory=dict)
    per_os: dict[str, dict[str, Any]] = field(default_factory=dict)
    test: dict[str, Any] = field(default_factory=dict)

    def for_host(self, override: dict[str, Any]) -> dict[str, Any]:
        """What the engine on the host needs of it."""
        per_os = {release: {**self.state, **changes, **override} for release, changes in self.per_os.items()}
        return {
            "id": self.id,
            "type": self.type,
            "state": {**self.state, **override},
            "per_os": per_os,
            "applies": self.applies,
        }


class _Lines:
    """Line numbers of a YAML document by place."""

    def __init__(self, node: yaml.Node | None) -> None:
        self._lines: dict[Place, int] = {}
        if node is not None:
            self._walk(node, ())

    def _walk(self, node: yaml.Node, place: Place) -> None:
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self._walk(item, (*place, number))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner: Place = (*place, str(key.value))
                self._walk(value, inner)
                self._lines[inner] = key.start_mark.line + 1

    def of(self, place: Place) -> int:
        """The line of the place, or of the nearest one around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)


def load(directories: Iterable[Path]) -> list[Control]:
    """All controls of ``*.yml`` in the directories. Raises RegisterError listing everything that is wrong, with file and line."""
    problems: list[str] = []
    controls: list[Control] = []
    places: dict[str, str] = {}
    for directory in directories:
        files = sorted(directory.glob("*.yml"))
        if not files:
            problems.append(f"{directory}: has no *.yml files with controls")
        for path in files:
            for item, lines, number in _items(path, problems):
                where = f"{path}:{lines.of((number,))}"
                found = [f"{path}:{lines.of((number, *place))}: {text}" for place, text in check(item)]
                if isinstance(item, dict) and isinstance(item.get("id"), str):
                    if item["id"] in places:
                        found.append(f"{where}: id {item['id']} is taken: {places[item['id']]} has it")
                    places.setdefault(item["id"], where)
                if found:
                    problems += found
                else:
                    numbers = {release: listed(number) for release, number in item.get("cis", {}).items()}
                    controls.append(Control(section=path.stem, **{**item, "cis": numbers}))
    if problems:
        raise RegisterError("The register of controls is wrong; no host was touched.\n" + "\n".join(problems))
    return controls


def _items(path: Path, problems: list[str]) -> list[tuple[Any, _Lines, int]]:
    try:
        text = path.read_text(encoding="utf-8")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        lines, data = _Lines(yaml.compose(text, Loader=loader)), yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except (OSError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        problems.append(
            f"{path}:{mark.line + 1 if mark else 1}: cannot be read: {getattr(error, 'problem', None) or error}"
        )
        return []
    if not isinstance(data, list):
        problems.append(f"{path}:1: must be a list of controls")
        return []
    return [(item, lines, number) for number, item in enumerate(data)]


def check(item: Any) -> list[tuple[Place, str]]:
    """What is wrong with one control: (place in it, what)."""
    if not isinstance(item, dict):
        return [((), "a control must be a mapping")]
    result: list[tuple[Place, str]] = [((), f"{name} is missing") for name in sorted(REQUIRED - item.keys())]
    result += [((name,), f"unknown field {name}") for name in sorted(item.keys() - REQUIRED - OPTIONAL)]
    result += (
        [(("id",), "id must be lower-case words joined by dashes")] if not ID.match(str(item.get("id", "x"))) else []
    )
    result += (
        _member(item, "level", (1, 2))
        + _member(item, "severity", SEVERITIES)
        + _member(item, "type", tuple(sorted(TYPES)))
    )
    for name in ("title", "rationale"):
        if name in item and not (isinstance(item[name], str) and item[name].strip()):
            result.append(((name,), f"{name} must be a sentence"))
    result += _check_test(item.get("test", {})) + _check_references(item) + _check_applies(item.get("applies", {}))
    if item.get("type") in TYPES and "state" in item:
        result += [(("state", *place), text) for place, text in check_state(item["type"], item["state"])]
        for release, changes in _mapping(item.get("per_os")).items():
            if release not in RELEASE_NAMES:
                result.append((("per_os", release), f"per_os knows {', '.join(RELEASE_NAMES)}, not {release}"))
            result += [
                (("per_os", release, *place), text) for place, text in check_state(item["type"], changes, partial=True)
            ]
    return result


def _check_test(test: Any) -> list[tuple[Place, str]]:
    if not isinstance(test, dict):
        return [(("test",), "test must be a mapping")]
    result: list[tuple[Place, str]] = [
        (("test", name), f"test knows {', '.join(sorted(TEST))}, not {name}") for name in sorted(test.keys() - TEST)
    ]
    if "by_hand" in test and (len(test) > 1 or not (isinstance(test["by_hand"], str) and test["by_hand"].strip())):
        result.append((("test", "by_hand"), "by_hand stands alone and says why no machine can show it"))
    if test.get("outside") and not {"break", "repair"} <= test.keys():
        result.append((("test", "outside"), "outside needs break and repair: enforcing changes nothing out there"))
    return result


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _member(item: dict[str, Any], name: str, allowed: tuple[Any, ...]) -> list[tuple[Place, str]]:
    if name in item and item[name] not in allowed:
        return [((name,), f"{name} is {item[name]!r}; allowed: {', '.join(map(str, allowed))}")]
    return []


def _check_references(item: dict[str, Any]) -> list[tuple[Place, str]]:
    result: list[tuple[Place, str]] = []
    for release, numbers in _mapping(item.get("cis")).items():
        if release not in RELEASE_NAMES:
            result.append((("cis", release), f"cis knows {', '.join(RELEASE_NAMES)}, not {release}"))
        for number in listed(numbers):
            if not CIS_NUMBER.match(str(number)) or not isinstance(number, str):
                result.append((("cis", release), f"{number!r} is not a CIS number in quotes, such as '4.2.20'"))
    for name, values in _mapping(item.get("maps")).items():
        if name not in FRAMEWORKS:
            result.append((("maps", name), f"maps knows {', '.join(FRAMEWORKS)}, not {name}"))
        elif not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
            result.append((("maps", name), f"{name} must be a list of texts in quotes"))
    return result


def _check_applies(applies: Any) -> list[tuple[Place, str]]:
    if not isinstance(applies, dict):
        return [(("applies",), "applies must be a mapping")]
    result: list[tuple[Place, str]] = [
        (("applies", name), f"applies knows {', '.join(sorted(APPLIES))}, not {name}")
        for name in sorted(applies.keys() - APPLIES)
    ]
    for release in applies.get("os", []):
        if release not in RELEASE_NAMES:
            result.append((("applies", "os"), f"os is one of {', '.join(RELEASE_NAMES)}, not {release}"))
    for name in ("in_use", "unless_in_use"):
        result += [
            (("applies", name, kind), f"{name} knows {', '.join(KINDS_IN_USE)}, not {kind}")
            for kind in _mapping(applies.get(name))
            if kind not in KINDS_IN_USE
        ]
    return result


def check_state(kind: str, state: Any, *, partial: bool = False) -> list[tuple[Place, str]]:
    """What is wrong with the ``state`` of a control of type ``kind``. ``partial``: fields that are required may be missing."""
    if not isinstance(state, dict):
        return [((), "must be a mapping")]
    fields = TYPES[kind].fields
    result: list[tuple[Place, str]] = []
    for name, desired in fields.items():
        if desired.endswith("!") and name not in state and not partial:
            result.append(((), f"a control of type {kind} needs state.{name}"))
    for name, value in state.items():
        if name not in fields:
            result.append(((name,), f"type {kind} has no field {name}; it has {', '.join(fields)}"))
        elif (text := _wrong(fields[name].rstrip("!"), value)) is not None:
            result.append(((name,), f"{name} {text}"))
    return result + _check_names(kind, state) + ([] if result or kind != "lines" else _check_lines(state))


def _check_lines(state: dict[str, Any]) -> list[tuple[Place, str]]:
    """A line that its own pattern does not find is added in each run; one that is still to be replaced, replaced in each run."""
    cases = [("present", True, "does not find"), ("replace", False, "still finds")]
    return [
        ((name,), f"{name}: the pattern '{item['pattern']}' {verb} its own line '{item['line']}'")
        for name, wanted, verb in cases
        for item in state.get(name, [])
        if (re.search(item["pattern"], item["line"]) is not None) != wanted
    ]


def _check_names(kind: str, state: dict[str, Any]) -> list[tuple[Place, str]]:
    known = {
        ("probe", "probe"): tuple(PROBES),
        ("account_list", "check"): tuple(CHECKS),
        ("password_aging", "field"): tuple(AGEING),
        ("system_account", "want"): ("shell", "locked"),
        ("file_walk", "check"): WALKS,
        ("firewall", "want"): PARTS,
        ("rsyslog_forward", "protocol"): ("tcp", "udp"),
    }
    return [
        problem
        for (type_, name), allowed in known.items()
        if type_ == kind
        for problem in _member(state, name, allowed)
    ]


def _wrong(kind: str, value: Any) -> str | None:
    """What is wrong with a value of this kind of field; None if nothing is."""
    texts = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
    tests: dict[str, tuple[bool, str]] = {
        "text": (isinstance(value, str), "must be a text (in quotes)"),
        "word": (isinstance(value, str), "must be a word"),
        "texts": (isinstance(value, str) or bool(texts), "must be a text or a list of texts"),
        "mode": (
            isinstance(value, str) and re.fullmatch(r"0[0-7]{3}", value) is not None,
            "must be a mode in quotes, such as '0644'",
        ),
        "flag": (isinstance(value, bool), "must be true or false"),
        "number": (isinstance(value, int) and not isinstance(value, bool), "must be a whole number"),
        "value": (
            isinstance(value, str | int | bool) or bool(texts),
            "must be a text, a number, true or false, or a list of texts",
        ),
        "missing": (value in ("ok", "create"), "must be ok or create"),
        "presence": (value in ("present", "absent"), "must be present or absent"),
        "accept": (
            isinstance(value, dict) and bool(value) and set(value) <= set(CONDITIONS),
            f"must map any of {', '.join(CONDITIONS)}",
        ),
        "lines": (
            isinstance(value, list) and all(isinstance(i, dict) and set(i) == {"pattern", "line"} for i in value),
            "must be a list of {pattern, line}",
        ),
    }
    good, text = tests[kind]
    return None if good else text
