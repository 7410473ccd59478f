# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command line of ansible-playbook, to be given again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml
from ansible.parsing.splitter import parse_kv

ONCE = ("fleet_force", "fleet_take_over")
"""Variables that are meant for one run only: a resumed one with them would begin anew."""
SECRET = re.compile(r"pass|secret|token|credential|private|_key$", re.IGNORECASE)


def again(argv: Sequence[str], inventory: Sequence[str], named: Mapping[str, Any]) -> str:
    """The command ``argv`` for a shell, with ``inventory`` if it names none, and those of ``named`` that it does not set."""
    words, has_inventory = [PurePath(argv[0]).name], False
    given: set[str] = set()
    for option, value in _options(argv[1:]):
        if option == "-e":
            words += _variables(value, given)
        elif option == "-i":
            words += ["-i", value]
            has_inventory = True
        else:
            words.append(value)
    if not has_inventory:
        words[1:1] = [word for source in inventory for word in ("-i", source)]
    for name, value in named.items():
        if name not in given:
            words += ["-e", _assignment(name, value)]
    return shlex.join(words)


def _options(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """``-e`` and ``-i`` with their values, however they are written; every other word as it is, with an empty option."""
    long = {"--extra-vars": "-e", "--inventory": "-i", "--inventory-file": "-i"}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name in long:
            yield long[name], value if equals else next(words, "")
        elif word in ("-e", "-i"):
            yield word, next(words, "")
        elif word.startswith(("-e", "-i")) and not word.startswith("--"):
            yield word[:2], word[2:]
        elif word not in ("-C", "--check"):
            yield "", word


def _variables(text: str, given: set[str]) -> list[str]:
    """The words of one ``-e``; the names that it sets are added to ``given``. A file is named again, unread."""
    if text.startswith("@"):
        return ["-e", text]
    values = yaml.safe_load(text) if text[:1] in "{[" else parse_kv(text)
    words = []
    for name, value in (values or {}).items():
        given.add(name)
        if name not in ONCE:
            words += ["-e", _assignment(name, "(as before)" if SECRET.search(name) else value)]
    return words


def _assignment(name: str, value: Any) -> str:
    """Text as ``name=value``; other types keep theirs as JSON only."""
    if isinstance(value, str) and re.fullmatch(r"[^\s'\"\\{}=]+", value):
        return f"{name}={value}"
    return json.dumps({name: value}, ensure_ascii=False)
