# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sudo reads on a host and whom it is about; taking a tag or an option out of it. Runs under Python 2.7 and 3.7+.

Texts are latin-1 here, whatever they were written in: every byte is one character, and goes back as it was.
"""

from __future__ import absolute_import, division, print_function

import os
import re
from collections import namedtuple

from .accounts import NO_LOGIN, groups, passwd
from .errors import HostError
from .sudoers import parse

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Callable, Dict, Iterable, List, Optional, Tuple  # noqa: F401

    from .host import Host  # noqa: F401
    from .sudoers import Entry, Member, Option  # noqa: F401

    Aliases = Dict[str, List[Member]]

MAIN = "/etc/sudoers"
DEEPEST = 128
"""How many files may include one another, as in sudo."""
NAMED = re.compile(r"^(?![%+!])(?!ALL\Z)(?![A-Z][A-Z0-9_]*\Z).+", re.DOTALL)
"""A user's name or #uid; what is left are groups, aliases and ALL."""

Source = namedtuple("Source", "path text")
"""A file that sudo reads."""
Account = namedtuple("Account", "name uid groups gids logs_in")
"""Someone whom rules may be about; ``uid`` is '' for one that is not there (yet)."""


class Policy(object):
    """All that sudo reads on the host: ``entries`` are (source, entry) in order, ``aliases`` those of users."""

    def __init__(self, host):
        # type: (Host) -> None
        self.host = host
        self.entries = []  # type: List[Tuple[Source, Entry]]
        self.paths = []  # type: List[str]
        self._read(MAIN, 0)
        self.aliases = {name: members for _source, entry in self.entries for name, members in entry.aliases.items()}

    def _read(self, path, depth):
        # type: (str, int) -> None
        """Raises HostError for what can't be read: an audit must not pass over a rule."""
        content = self.host.system.content(path)
        if content is None or depth > DEEPEST:
            return
        source = Source(path, content.decode("latin-1"))
        self.paths.append(path)
        for entry in parse(source.text):
            if entry.kind == "unreadable":
                raise HostError(
                    "%s, line %d is no entry that sudo reads: %s. Correct it with visudo -f %s"
                    % (path, entry.line, shown(source, entry), path)
                )
            if entry.kind in ("include", "includedir"):
                for included in self._included(entry, path):
                    self._read(included, depth + 1)
            else:
                self.entries.append((source, entry))

    def _included(self, entry, path):
        # type: (Entry, str) -> List[str]
        """The files that an include means, in the order in which sudo reads them; of a directory, names without '.' and '~'."""
        name = os.uname()[1].partition(".")[0]
        target = os.path.join(os.path.dirname(path), entry.path.replace("%h", name))
        if entry.kind == "include":
            return [target]
        found = sorted(self.host.system.glob(re.sub(r"([*?[])", r"[\1]", target.rstrip("/")) + "/*"))
        kinds = {item: self.host.system.stat(item) for item in found}
        return [
            item
            for item in found
            if "." not in os.path.basename(item)
            and not item.endswith("~")
            and (kinds[item] or {}).get("kind") == "file"
        ]

    def value(self, option):
        # type: (str) -> Optional[str]
        """The last value of a Defaults setting that applies to everybody: 'yes' or 'no' for a flag; None if it is not set."""
        values = [item for _source, _entry, item in self.settings(option)]
        return option_value(values[-1]) if values else None

    def settings(self, option):
        # type: (str) -> List[Tuple[Source, Entry, Option]]
        """Every place that sets it for everybody, in the order in which sudo reads them."""
        return [
            (source, entry, item)
            for source, entry in self.entries
            if applies_to_all(entry)
            for item in entry.options
            if item.name == option
        ]


def applies_to_all(entry):
    # type: (Entry) -> bool
    """Whether a Defaults entry is for everybody, everywhere."""
    return entry.scope == "" or (entry.scope in ":@" and [m[:2] for m in entry.members] == [(False, "ALL")])


def option_value(item):
    # type: (Option) -> str
    return "no" if item.negated else item.value if item.operator else "yes"


def shown(source, entry):
    # type: (Source, Entry) -> str
    """The entry in one line, for people."""
    line = re.sub(r"\\[ \t]*\r?\n", " ", source.text[entry.start : entry.end])
    return " ".join(line.encode("latin-1").decode("utf-8", "replace").split())


def account(host, name):
    # type: (Host, str) -> Account
    """A user with the groups that the host's files give."""
    row = next((row for row in passwd(host) if row["name"] == name), None)
    own = [g for g in groups(host) if name in g["members"].split(",") or (row and g["gid"] == row["gid"])]
    gids = [g["gid"] for g in own] + ([row["gid"]] if row else [])
    logs_in = row is None or row["shell"] not in NO_LOGIN
    return Account(name, row["uid"] if row else "", {g["name"].lower() for g in own}, set(gids), logs_in)


def is_meant(who, members, aliases, depth=0):
    # type: (Account, Iterable[Member], Aliases, int) -> Optional[bool]
    """Whether a list of users means the account: True or False (named, negated) by the last member about it; None if none is.

    Netgroups and groups of plug-ins are not known here, so that they mean nobody: nothing is granted on a guess.
    """
    for member in reversed(list(members)):
        found = None  # type: Optional[bool]
        if member.name == "ALL":
            found = True
        elif member.name in aliases and depth < DEEPEST:
            found = is_meant(who, aliases[member.name], aliases, depth + 1)
        elif _is_named(who, member.name):
            found = True
        if found is not None:
            return found is not bool(member.negated)
    return None


def _is_named(who, name):
    # type: (Account, str) -> bool
    """Names count whatever their case, as by sudo's case_insensitive_user and _group, which are on."""
    if name.startswith("%#"):
        return bool(name[2:] in who.gids)
    if name.startswith("%"):
        return bool(name[1:].lower() in who.groups)
    if name.startswith("#"):
        return bool(who.uid != "" and name[1:] == who.uid)
    return bool(name.lower() == who.name.lower())


def means_others(members, spared, aliases, negated=False, depth=0):
    # type: (Iterable[Member], List[Account], Aliases, bool, int) -> bool
    """Whether a list may mean somebody else than the spared: it is more than their names and aliases of these.

    ``negated``: it is an alias with a '!' before it, which means those that are negated in it.
    """
    for member in members:
        excluded = negated != member.negated
        if member.name in aliases and depth < DEEPEST:
            if means_others(aliases[member.name], spared, aliases, excluded, depth + 1):
                return True
        elif not excluded and not any(_is_name_of(who, member.name) for who in spared):
            return True
    return False


def _is_name_of(who, name):
    # type: (Account, str) -> bool
    return NAMED.match(name) is not None and _is_named(who, name)


def _meant(entry, spared, aliases):
    # type: (Entry, List[Account], Aliases) -> List[Account]
    """The spared whom the entry means. By a group or ALL, only who logs in: a program's account gets no rule of its own from that."""
    named = [who for who in spared if any(_is_name_of(who, m.name) and not m.negated for m in entry.members)]
    return [who for who in spared if is_meant(who, entry.members, aliases) and (who.logs_in or who in named)]


def without_tag(text, entry, tag, spared, aliases):
    # type: (str, Entry, str, List[Account], Aliases) -> str
    """The text with the opposite in the tag's place; for the spared whom the rule means, it stays as it was in a rule of their own.

    Both rules stand where the one stood and mean nobody twice, so that the last match is the same for everybody.
    """
    meant = _meant(entry, spared, aliases)
    first, last = entry.members[0].start, entry.members[-1].end
    rule = text[last : entry.end]
    for token in reversed([token for token in entry.tags if tag_name(token.text) == tag]):
        at = token.start - last
        rule = rule[:at] + (tag[2:] if tag.startswith("NO") else "NO" + tag) + rule[at + len(tag) :]
    users, kept = text[first:last], ""
    if meant:
        users = _less(text, entry.members, meant)
        names = ", ".join(_quoted(who.name) for who in meant)
        # A quoted blank at its end, before a comment, would quote the line break.
        end = " #" if text[last : entry.end].endswith(("\\ ", "\\\t")) else ""
        kept = text[entry.start : first] + names + text[last : entry.end] + end + _line_break(text)
    return text[: entry.start] + kept + text[entry.start : first] + users + rule + text[entry.end :]


def _less(text, members, meant):
    # type: (str, List[Member], List[Account]) -> str
    """The list without some of those whom it means: their names go, from groups and aliases they are excepted."""
    plain = [m for m in members if NAMED.match(m.name)]
    gone = [m for m in plain if not m.negated and any(_is_name_of(who, m.name) for who in meant)]
    kept = [text[m.start : m.end] for m in members if m not in gone]
    if len(plain) < len(members):
        kept += ["!" + _quoted(who.name) for who in meant]
    return ", ".join(kept)


def _quoted(name):
    # type: (str) -> str
    return name if re.match(r"^[a-z_][-\w.]*\Z", name) else '"%s"' % name


def _line_break(text):
    # type: (str) -> str
    return "\r\n" if "\r\n" in text else "\n"


def tag_name(text):
    # type: (str) -> str
    return text.rstrip(": \t")


def without_option(text, entry, option, spared, aliases):
    # type: (str, Entry, Option, List[Account], Aliases) -> str
    """The text without one of the settings of a Defaults entry, which goes as a whole if it has no other; the spared keep it."""
    options, index = entry.options, entry.options.index(option)
    own = ""
    meant = _meant(entry, spared, aliases) if entry.scope == ":" else []
    if meant:
        names = ",".join(_quoted(who.name) for who in meant)
        own = "Defaults:%s %s%s" % (names, text[option.start : option.end], _line_break(text))
    if len(options) == 1:
        rest = text[entry.end :]
        if rest.startswith(("\n", "\r\n")):
            rest = rest.partition("\n")[2]
        elif rest and not rest.startswith((" ", "\t")):
            rest = " " + rest  # a comment at the beginning of a line may be an include
        return text[: entry.start] + own + rest
    if index:
        start, end = options[index - 1].end, option.end
    else:
        start, end = option.start, options[1].start
    return text[: entry.start] + own + text[entry.start : start] + text[end:]


def edited(text, change):
    # type: (str, Callable[[str, List[Entry]], Optional[str]]) -> str
    """The text after ``change`` was called, with its entries, until it answers None: each call changes one thing."""
    while True:
        after = change(text, parse(text))
        if after is None:
            return text
        text = after
