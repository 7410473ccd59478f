# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing the text of configuration files: key and value, with or without sections. Pure."""

from __future__ import absolute_import, division, print_function

import re

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Iterator, List, Optional, Tuple  # noqa: F401

SECTION = re.compile(r"^\s*\[(?P<name>[^\]]+)\]\s*$")


def lines_of(text):
    # type: (str) -> List[str]
    """The lines as programs read them: a line feed ends one. What str.splitlines also takes for an end (a form feed, U+2028) is text."""
    found = text.split("\n")
    if found[-1] == "":
        found.pop()
    return [line[:-1] if line.endswith("\r") else line for line in found]


def _value(line, key, separator):
    # type: (str, str, str) -> Optional[str]
    """What the line sets the key to, '' if the key stands alone; None if the line is about something else."""
    if key not in line:
        return None
    parts = line.strip().split(separator.strip() or None, 1)
    if not parts or parts[0].rstrip() != key:
        return None
    return parts[1].strip() if len(parts) > 1 else ""


def _located(text, section):
    # type: (str, Optional[str]) -> Iterator[Tuple[str, bool]]
    """(line, whether it is an entry of the section)."""
    inside = section is None
    for line in lines_of(text):
        header = SECTION.match(line) if section is not None else None
        if header:
            inside = header.group("name") == section
        yield line, inside and not header


def get(text, key, section=None, separator="="):
    # type: (str, str, Optional[str], str) -> Optional[str]
    """The last value of ``key``; '' for a key that stands alone; None if it is not set. ``separator`` ' ' is any white space."""
    value = None
    for line, inside in _located(text, section):
        found = _value(line, key, separator) if inside else None
        if found is not None:
            value = found
    return value


def spelled(text, key):
    # type: (str, str) -> str
    """The text with the key as it is written here wherever a line begins with it in any case: for programs that take it in capitals too."""
    return re.sub(r"(?im)^([ \t]*)%s(?=[ \t=]|$)" % re.escape(key), lambda found: found.group(1) + key, text)


def entries(text):
    # type: (str) -> List[Tuple[Optional[str], str, str]]
    """(section or None, key, value) of every `key = value` line."""
    found, section = [], None  # type: Tuple[List[Tuple[Optional[str], str, str]], Optional[str]]
    for line in lines_of(text):
        header = SECTION.match(line)
        if header:
            section = header.group("name")
        elif "=" in line and not line.lstrip().startswith(("#", ";")):
            key, _equals, value = line.partition("=")
            found.append((section, key.strip(), value.strip()))
    return found


def put(text, key, value, section=None, separator="="):
    # type: (str, str, str, Optional[str], str) -> str
    """The text with ``key`` set to ``value`` once: in place of its first occurrence, else at the end of its section."""
    entry = key if value == "" else "%s%s%s" % (key, separator, value)
    kept, done, end = [], False, None  # type: Tuple[List[str], bool, Optional[int]]
    for line, inside in _located(text, section):
        if inside and _value(line, key, separator) is not None:
            if not done:
                kept.append(entry)
                done = True
            continue
        kept.append(line)
        header = SECTION.match(line) if section is not None else None
        if (inside and line.strip()) or (header and header.group("name") == section):
            end = len(kept)
    if not done and end is None and section is not None:
        kept += ["[%s]" % section, entry]
    elif not done:
        kept.insert(len(kept) if end is None else end, entry)
    return "\n".join(kept) + "\n"


def without_comments(text):
    # type: (str) -> List[str]
    """The lines that say something; continuation lines (ending in a backslash) joined."""
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ")
    return [line.strip() for line in lines_of(joined) if line.strip() and not line.lstrip().startswith("#")]


def without_block(text, begin, end):
    # type: (str, str, str) -> Tuple[str, str]
    """(the text less the lines from ``begin`` to ``end``, the lines between them). A beginning without an end begins nothing."""
    outside, block, held = [], [], None  # type: List[str], List[str], Optional[List[str]]
    for line in lines_of(text):
        if line.strip() == begin:
            outside += held or []
            held = [line]
        elif held is not None and line.strip() == end:
            block += held[1:]
            held = None
        else:
            (outside if held is None else held).append(line)
    outside += held or []
    return "".join(x + "\n" for x in outside), "".join(x + "\n" for x in block)
