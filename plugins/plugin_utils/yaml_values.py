# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that YAML read as something else than the text that was meant: `no`, an empty value, `1.10`.

Ansible makes texts of them as Python writes them (False, None, 1.1), and a template puts those into a program's configuration.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

NUMBERS = ("int", "float")


def misread(options: Mapping[str, Any], given: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """One sentence for each such value. `options`: of an argument spec, name → type, elements, options; `place`: what they are within."""
    for name in [name for name in options if name in given]:
        spec, value = options[name], given[name]
        where = f"{place}{name}"
        kind = spec.get("type", "str")
        if kind == "list" and isinstance(value, list):
            each = {"type": spec.get("elements", "raw"), "options": spec.get("options")}
            for number, item in enumerate(value):
                yield from _misread(each, item, f"{where}[{number}]")
        else:
            yield from _misread({"type": kind, "options": spec.get("options")}, value, where)


def _misread(spec: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    if spec["type"] == "dict" and spec["options"] and isinstance(value, Mapping):
        yield from misread(spec["options"], value, f"{where}.")
    elif spec["type"] == "str" and (problem := not_text(value)):
        yield f"{where} is {problem}."
    elif spec["type"] in NUMBERS and isinstance(value, bool):
        yield f"{where} is {_word(value)} (YAML reads yes, no, on and off so); it takes a number."
    elif spec["type"] not in ("raw", "str") and value is None:
        yield f"{where} is empty (null in YAML); give a value, or leave it out."


def not_text(value: Any) -> str:
    """What is wrong with a value that is to be a text, for a sentence; '' for a text and a whole number."""
    if value is None:
        return 'empty (null in YAML); give a text, "" for none, or leave it out'
    if isinstance(value, bool):
        return f'{_word(value)} (YAML reads yes, no, on and off so); a text needs quotes, such as "{_word(value)}"'
    if isinstance(value, float):
        return f'the number {value}, which may be written otherwise than it was given; a text needs quotes, such as "{value}"'
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'dictionary'}; it takes a text"
    if isinstance(value, datetime.date):
        return f'the date {value}; a text needs quotes, such as "{value}"'
    return ""


def _word(value: bool) -> str:
    return "true" if value else "false"
