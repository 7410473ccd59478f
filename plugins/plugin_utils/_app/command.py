# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command line as a variable: its words, which the process gets as they are written, and what is refused."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

SINGLE, DOUBLE = r"'[^']*'", r'"(?:[^"\\]|\\["\\])*"'
QUOTED = re.compile(f"{SINGLE}|{DOUBLE}")
QUOTES = "'\""
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def words(command: str) -> list[str]:
    """Split at blanks as a shell does it, with its quotes, and nothing else of a shell. One without violations; others are one word."""
    try:
        return shlex.split(command)
    except ValueError:
        return [command]


def violations(name: str, command: str) -> Iterator[str]:
    """Why a process would not get the words as they are written. `name`: the variable; '' is no command, and none is needed."""
    unquoted = QUOTED.sub("", command)
    if "\0" in command or any("\ud800" <= character <= "\udfff" for character in command):
        yield f"{name} has a character that no command line can have (NUL or half of a surrogate pair)."
    if "\\" in unquoted:
        yield (
            f"{name} has a backslash (\\) where a shell would read it otherwise than it is written; "
            "put the word into single quotes, or write \\\\ in double quotes."
        )
    elif "'" in unquoted or '"' in unquoted:
        yield f"{name} has a quote ({min(set(unquoted) & set(QUOTES))}) without its other half; put the word into quotes of the other kind."
    elif command and not command.strip():
        yield f"{name} is blank; leave it empty to take the kind's own."
    elif command:
        yield from _program(name, words(command)[0])


def _program(name: str, program: str) -> Iterator[str]:
    if not program or program.startswith("-"):
        yield f"{name} begins with '{program}'; it takes a program first."
    elif ASSIGNMENT.match(program):
        yield f"{name} begins with '{program}', which is no program; give variables by app_runtime_environment."
