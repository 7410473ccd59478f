# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stacks of pam.d(5), as Linux-PAM reads them (libpam/pam_handlers.c). Pure. Runs on the hosts, under Python 2.7 and 3.7+.

An entry may go on after a backslash at the end of a line, a '#' anywhere begins a comment, types have any case and may have a '-'.
"""

from __future__ import absolute_import, division, print_function

import re
from collections import namedtuple

from .text import lines_of

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import List, Match, Optional  # noqa: F401

Entry = namedtuple("Entry", "dash kind control module arguments")
"""``dash``: '-' for one whose module may be missing, else ''; ``kind``: auth, account, password or session, in lower case."""
Part = namedtuple("Part", "lines entry comment")
"""What stands together in a stack: the lines of one entry as they are, or one line that is none (``entry`` None)."""

JUMP = re.compile(r"(=\s*)([1-9][0-9]*)(?=[\s\]])")
FORM = re.compile(r"^(-?)(\w+)\s+(\[(?:\\.|[^\]\\])*\]|\S+)\s+(\S+)\s*(.*)$", re.DOTALL)


def parts(text):
    # type: (str) -> List[Part]
    """The whole text in order."""
    found, held, words, comments = [], [], "", ""  # type: List[Part], List[str], str, str
    for line in lines_of(text):
        content, mark, comment = line.partition("#")
        goes_on = content.rstrip().endswith("\\")
        held.append(line)
        words += " " + (content.rstrip()[:-1] if goes_on else content)
        comments += mark + comment
        # Inside of an entry that goes on, lines that say nothing are passed over.
        if goes_on or (len(held) > 1 and not content.strip()):
            continue
        found.append(_part(held, words, comments))
        held, words, comments = [], "", ""
    return found + ([_part(held, words, comments)] if held else [])


def _part(held, words, comments):
    # type: (List[str], str, str) -> Part
    form = FORM.match(words.strip())
    entry = None  # type: Optional[Entry]
    if form:
        entry = Entry(form.group(1), form.group(2).lower(), form.group(3), form.group(4), form.group(5).split())
    return Part(held, entry, comments.strip())


def with_added(text, entry, before):
    # type: (str, Entry, str) -> Optional[str]
    """The stack with the entry added, before the first of its kind that the pattern finds in ``shown``; None if there is none.

    Jumps that went over that place ("success=1": pass over one entry of the kind, pam.conf(5)) go one further, to where they went.
    """
    found = parts(text)
    own = [number for number, part in enumerate(found) if part.entry and part.entry.kind == entry.kind]
    places = [number for number in own if re.search(before, shown(found[number].entry).lstrip("-"))]
    if not places:
        return None
    place = places[0]
    pieces = [part.lines for part in found]
    passed = [number for number in own if number < place]
    for position, number in enumerate(passed):
        there = found[number].entry
        control = _jumping_over(there.control, len(passed) - position)
        if control != there.control:
            pieces[number] = [written(there._replace(control=control), found[number].comment)]
    return joined(pieces[:place] + [[written(entry)]] + pieces[place:])


def _jumping_over(control, distance):
    # type: (str, int) -> str
    """The control with each jump by ``distance`` entries or more one further."""

    def further(found):
        # type: (Match[str]) -> str
        count = int(found.group(2))
        return found.group(1) + "%d" % (count + 1 if count >= distance else count)

    return JUMP.sub(further, control) if control.startswith("[") else control


def shown(entry):
    # type: (Entry) -> str
    """The entry in one line with single spaces."""
    return " ".join([entry.dash + entry.kind, " ".join(entry.control.split()), entry.module] + entry.arguments)


def written(entry, comment=""):
    # type: (Entry, str) -> str
    """The entry as a line of a stack."""
    line = "%-11s %-13s %s %s" % (entry.dash + entry.kind, entry.control, entry.module, " ".join(entry.arguments))
    return line.rstrip() + (" " + comment if comment else "")


def joined(pieces):
    # type: (List[List[str]]) -> str
    return "".join(line + "\n" for piece in pieces for line in piece)
