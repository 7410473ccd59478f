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
SECRET = re.compile(r"pass|pwd|secret|token|credential|private|_key$", re.IGNORECASE)
USER_INFORMATION = re.compile(r"(?<=://)[^/@\s]*:[^/\s]*(?=@)")
"""Of an address, where it has a password."""
AS_BEFORE = "(as before)"
LONG = {"--extra-vars": "-e", "--inventory": "-i", "--inventory-file": "-i", "--check": "-C"}
LEAST = ("--e", "--i", "--ch")
SHORT = re.compile(r"-(?=.)(?P<flags>[vkbKCDJ]*)(?:(?P<option>[ei])=?(?P<value>.*))?", re.DOTALL)
"""Options without a value, which may be one word, and after them perhaps one with a value."""


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
    """``-e`` and ``-i`` with their values, however they are written; every other word but ``--check`` as it is, with an empty option."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if option := _long(name):
            if option != "-C":
                yield option, value if equals else next(words, "")
        elif short := SHORT.fullmatch(word):
            if flags := short["flags"].replace("C", ""):
                yield "", f"-{flags}"
            if short["option"]:
                yield f"-{short['option']}", short["value"] or next(words, "")
        else:
            yield "", word


def _long(name: str) -> str | None:
    """The short option for a long one; argparse takes each by its beginning, too, down to where it could be another one."""
    return next((short for full, short in LONG.items() if full.startswith(name) and name.startswith(LEAST)), None)


class _Loader(yaml.SafeLoader):
    """What Ansible's loader takes: its own tags, and dates, which are texts here."""


def _text(_loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    return node.value


for _tag in ("!vault", "!vault-encrypted"):
    _Loader.add_constructor(_tag, lambda _loader, _node: AS_BEFORE)
for _tag in ("!unsafe", "tag:yaml.org,2002:timestamp"):
    _Loader.add_constructor(_tag, _text)


def _variables(text: str, given: set[str]) -> list[str]:
    """The words of one ``-e``; the names that it sets are added to ``given``. A file is named again, unread."""
    if text.startswith("@"):
        return ["-e", text]
    values = yaml.load(text, _Loader) if text[:1] in ("{", "[") else parse_kv(text)  # noqa: S506 - a SafeLoader
    words = []
    for name, value in values.items() if isinstance(values, dict) else ():
        given.add(name)
        if name not in ONCE:
            words += ["-e", _assignment(str(name), _shown(str(name), value))]
    return words


def _shown(name: str, value: Any) -> Any:
    """A value without what looks like a secret in it."""
    if SECRET.search(name):
        return AS_BEFORE
    if isinstance(value, dict):
        return {str(key): _shown(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shown("", inner) for inner in value]
    return USER_INFORMATION.sub(AS_BEFORE, value) if isinstance(value, str) else value


def _assignment(name: str, value: Any) -> str:
    """Text as ``name=value``; other types keep theirs as JSON only."""
    if isinstance(value, str) and re.fullmatch(r"[^\s'\"\\{}=]+", value):
        return f"{name}={value}"
    return json.dumps({name: value}, ensure_ascii=False, default=str)
