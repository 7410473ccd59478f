"""Reading and changing the text of configuration files: key and value, with or without sections. Pure."""

from __future__ import absolute_import, division, print_function

import re

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, Iterator, List, Optional, Tuple  # noqa: F401

SECTION = re.compile(r"^\s*\[(?P<name>[^\]]+)\]\s*$")


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
    for line in text.splitlines():
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


def put(text, key, value, section=None, separator="="):
    # type: (str, str, str, Optional[str], str) -> str
    """The text with ``key`` set to ``value`` once: in place of its first occurrence, else at the end of its section."""
    entry = key if value == "" else "%s%s%s" % (key, separator, value)
    lines, done, end = [], False, None  # type: Tuple[List[str], bool, Optional[int]]
    for line, inside in _located(text, section):
        if inside and _value(line, key, separator) is not None:
            if not done:
                lines.append(entry)
                done = True
            continue
        lines.append(line)
        header = SECTION.match(line) if section is not None else None
        if (inside and line.strip()) or (header and header.group("name") == section):
            end = len(lines)
    if not done and end is None and section is not None:
        lines += ["[%s]" % section, entry]
    elif not done:
        lines.insert(len(lines) if end is None else end, entry)
    return "\n".join(lines) + "\n"


def without_comments(text):
    # type: (str) -> List[str]
    """The lines that say something; continuation lines (ending in a backslash) joined."""
    joined = text.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def without_block(text, begin, end):
    # type: (str, str, str) -> Tuple[str, str]
    """(the text less the lines from ``begin`` to ``end``, the lines between them)."""
    outside, block, inside = [], [], False  # type: Tuple[List[str], List[str], bool]
    for line in text.splitlines():
        if line.strip() == begin:
            inside = True
        elif line.strip() == end:
            inside = False
        else:
            (block if inside else outside).append(line)
    return "".join(x + "\n" for x in outside), "".join(x + "\n" for x in block)


def accounts(text):
    # type: (str) -> List[Dict[str, str]]
    """The entries of a passwd(5) text."""
    names = ("name", "password", "uid", "gid", "comment", "home", "shell")
    fields = [line.split(":") for line in text.splitlines() if line.count(":") == 6]
    fields = [field for field in fields if field[2].isdigit()]  # NIS's "+" has no number
    return [dict(zip(names, field)) for field in fields]


def groups(text):
    # type: (str) -> List[Dict[str, str]]
    """The entries of a group(5) text; ``members`` is comma-separated."""
    names = ("name", "password", "gid", "members")
    fields = [line.split(":") for line in text.splitlines() if line.count(":") == 3]
    return [dict(zip(names, field)) for field in fields]
