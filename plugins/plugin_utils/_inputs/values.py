# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of variables against an argument specification: Ansible's own check, with what it lets pass refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..yaml_values import misread
from .names import suggestion

Options = Mapping[str, Mapping[str, Any]]
"""Variable → its entry in an argument specification."""
KINDS: dict[str, tuple[type, str]] = {"list": (list, "a list"), "dict": (dict, "a dictionary")}
TEXTS = ("str", "path")
SCALARS = (*TEXTS, "int", "float", "bool")
OWN_KEYS = ("pattern", "form", "minimum", "maximum", "example")
"""What meta/fleet_variables.yml says beyond Ansible's form."""
NUMBERS = {"int": re.compile(r"[+-]?[0-9]+"), "float": re.compile(r"[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?")}
"""As every program reads them; Python takes `1_000`, blanks around and the digits of other scripts, too."""
LARGEST = 2**31 - 1
"""The integers of AWS's APIs."""
CHOICE = re.compile(r"value of \S+ must be one of: (?P<allowed>.*), got: (?P<given>.*)")
UNSUPPORTED = re.compile(r"(?P<paths>\S+(?:, \S+)*)\. Supported parameters include: (?P<keys>.*)\.")


def violations(options: Options, given: Mapping[str, Any]) -> list[str]:
    """One sentence for each value in `given` that the options don't allow. A variable that is required and not given is one, too."""
    found = {
        name: text
        for name, value in given.items()
        if (text := _wrong_kind(name, options[name], value) or _no_text_key(name, options[name], value))
    }
    left = {name: option for name, option in options.items() if name not in found}
    values = {name: value for name, value in given.items() if name not in found}
    checked = ArgumentSpecValidator({name: _for_ansible(option) for name, option in left.items()})
    errors = checked.validate(values, validate_role_argument_spec=True).error_messages
    sentences = [*found.values(), *(_sentence(message, values) for message in errors)]
    if not errors:
        sentences += list(misread(left, values)) or [
            text for name in values if (text := _outside(name, left[name], values[name]))
        ]
    return sentences


def shown(value: Any) -> str:
    """A value for a message: what could hold a secret is not repeated."""
    for kind, text in KINDS.values():
        if isinstance(value, kind):
            return text
    return f"'{value}'" if isinstance(value, str) else str(value)


def _for_ansible(option: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in option.items() if key not in OWN_KEYS}


def _wrong_kind(name: str, option: Mapping[str, Any], value: Any) -> str | None:
    """Ansible makes a list of `a,b`, a dictionary of `a=b` and a text of a list to check them; the role gets what was given."""
    kind = option.get("type", "str")
    desired, text = KINDS.get(kind, (None, kind))
    wrong = not isinstance(value, desired) if desired else kind in SCALARS and isinstance(value, list | dict)
    if value is not None and wrong:
        return f"{name} is {shown(value)}; allowed: {text}."
    if (
        kind in NUMBERS
        and value is not None
        and not NUMBERS[kind].fullmatch(str(value))
        and not isinstance(value, bool)
    ):
        return f"{name} is {shown(value)}; allowed: {kind}."
    if kind in TEXTS and not isinstance(value, str | bool | int | float | None):
        return f"{name} is {value}, which YAML reads as a {type(value).__name__}; write it in quotes."
    # YAML reads an unquoted 1.10 as 1.1, and 000000000000 as 0.
    if "pattern" in option and isinstance(value, int | float):
        return f"{name} is the number {value}; write it in quotes."
    return None


def _no_text_key(place: str, option: Mapping[str, Any], value: Any) -> str | None:
    """Of a dictionary with specified keys. YAML reads an unquoted `on` or `80` as no text, for which Ansible's check has no words."""
    known = option.get("options")
    if not known:
        return None
    if isinstance(value, list):
        inner = [(f"{place}[{number}]", option, item) for number, item in enumerate(value)]
    elif isinstance(value, dict):
        if odd := [key for key in value if not isinstance(key, str)]:
            return f"{place} has the key {odd[0]!r}, which YAML does not read as a text; it has {', '.join(known)}."
        inner = [(f"{place}.{key}", known[key], item) for key, item in value.items() if key in known]
    else:
        return None
    return next((text for where in inner if (text := _no_text_key(*where))), None)


def _outside(name: str, option: Mapping[str, Any], value: Any) -> str | None:
    """What Ansible's form can't say of a value whose type is right."""
    if value is None:
        return None
    if "pattern" in option and not re.fullmatch(option["pattern"], value):
        return f"{name} is '{value}'; allowed: {option['form']}."
    if option.get("type") == "int" and abs(int(value)) > LARGEST:
        return f"{name} is {value}; allowed: a number of at most {LARGEST}."
    least, most = option.get("minimum"), option.get("maximum")
    if (least is not None and int(value) < least) or (most is not None and int(value) > most):
        return f"{name} is {value}; allowed: {least} {f'to {most}' if most is not None else 'or more'}."
    return None


def _sentence(message: str, values: Mapping[str, Any]) -> str:
    """For an error of Ansible's ArgumentSpecValidator, with the value, which its own words for a wrong type lack."""
    wrong_type = re.match(r"argument '(\w+)' is of type .* convert to (\w+):", message)
    if wrong_type and wrong_type[1] in values:
        return f"{wrong_type[1]} is {shown(values[wrong_type[1]])}; allowed: {wrong_type[2]}."
    if choice := CHOICE.fullmatch(message):
        return f"{message}{suggestion(choice['given'], choice['allowed'].split(', '))}."
    unsupported = UNSUPPORTED.fullmatch(message)
    return " ".join(_unknown_keys(unsupported)) if unsupported else f"{message}."


def _unknown_keys(message: re.Match[str]) -> Iterator[str]:
    allowed = message["keys"].split(", ")
    for path in message["paths"].split(", "):
        place, _dot, key = path.rpartition(".")
        yield f"{place} has no key '{key}'{suggestion(key, allowed)}; it has {', '.join(allowed)}."
