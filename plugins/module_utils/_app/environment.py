# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment variables as systemd's EnvironmentFile= takes them: which names and values reach a process, and the file's text. Pure.

For the control node and for the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

import re

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, Optional  # noqa: F401

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
SET_BY_UNIT = ("PORT", "CREDENTIALS_DIRECTORY")
SET_BY_SHELL = (
    "_ COMP_WORDBREAKS DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD IFS LINENO OLDPWD OPTARG OPTERR OPTIND PIPESTATUS "
    "PPID PS1 PS2 PS4 PWD RANDOM SECONDS SHELLOPTS SHLVL SRANDOM UID"
).split()
"""What bash, which starts the processes as /bin/sh, sets itself, beside all that begins with BASH (bash(1), Shell Variables)."""
ESCAPED = re.compile(r'([\\"`$])')


def taken(name):
    # type: (str) -> Optional[str]
    """Who else sets the variable; None: nobody."""
    if name in SET_BY_UNIT:
        return "the unit"
    return "the shell that starts the processes" if name in SET_BY_SHELL or name.startswith("BASH") else None


def value_of(text):
    # type: (str) -> str
    """Line breaks at the end are of the file that the text came from, as for a shell's `$(cat file)`."""
    return text.rstrip("\r\n")


def unfit(value):
    # type: (str) -> Optional[str]
    """The first character of the value that no process would get, for a sentence; None if there is none."""
    for code in map(ord, value):
        if code in (0x0A, 0x0D):
            return "a line break"
        if _is_dropped(code):
            return "the character U+%04X" % code
    return None


def _is_dropped(code):
    # type: (int) -> bool
    """Whether systemd drops a variable with it: 219 one with a control character but the tab, all releases one with a noncharacter."""
    is_control = code < 0x20 and code != 0x09 or code == 0x7F
    return is_control or 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


def render(environment):
    # type: (Dict[str, str]) -> str
    """The lines of the file: each value in quotes, as all releases of systemd read it."""
    return "".join('%s="%s"\n' % (name, ESCAPED.sub(r"\\\1", value)) for name, value in sorted(environment.items()))
