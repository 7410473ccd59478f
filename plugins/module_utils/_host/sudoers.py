# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of sudoers(5), as sudo 1.8.23 (Amazon Linux 2) and 1.9 (2023) read it. Pure. Runs under Python 2.7 and 3.7+.

Every part keeps its place in the text, so that one of them can be changed and all else stays to the letter. Commands with their arguments,
hosts and Runas lists are passed over: only who is meant, tags and Defaults' options are told apart.
"""

from __future__ import absolute_import, division, print_function

import re
from collections import namedtuple

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Dict, List, Optional, Pattern, Tuple  # noqa: F401

Member = namedtuple("Member", "negated name start end")
"""One of a list of users (hosts, commands): ``name`` is a user, #uid, %group, %#gid, +netgroup, ALL or an alias."""
Option = namedtuple("Option", "negated name operator value start end")
"""One setting of a Defaults entry; ``operator`` is '', '=', '+=' or '-=', ``value`` is without its quotes."""
Token = namedtuple("Token", "kind text start end")

GAP = r"(?:[ \t]|\\[ \t]*\r?\n)"
"""What may stand between two parts: blanks, and line breaks with a backslash before them."""
WORD = r"(?:[^#>!=:,() \t\r\n\\\"]|\\[^\t\r\n])+"
ID = r"#-?[0-9]+"
PATH = r"/(?:\\[,:= \t#]|[^,:=\\ \t\r\n#])+"
STRING = r'"(?:[^"\r\n\\]|\\"|\\[ \t]*\r?\n|\\(?!"))*"'
HEX = r"[0-9A-Fa-f]{1,4}"
IPV6 = r"(?:(?:%s)?:){2,7}(?:%s)?(?:/[0-9A-Fa-f:.]+)?" % (HEX, HEX)
TAGS = "PASSWD|EXEC|INTERCEPT|SETENV|LOG_OUTPUT|LOG_INPUT|MAIL|FOLLOW"

SKIPPED = re.compile(GAP + "+")
END = re.compile(r"\r?\n|\Z")
COMMENT = re.compile(r"#(?!-?[0-9])[^\n]*")
LOOSE_COMMENT = re.compile(r"#[^\n]*")
"""After Defaults' options, where no uid can stand."""
REST = re.compile(r"(?:\\[ \t]*\r?\n|[^\n])*")
PARTS = [
    ("string", re.compile(STRING)),
    ("regex", re.compile(r"\^(?:\\[#$]|[^#\r\n$])*\$")),
    ("digest", re.compile("sha(?:224|256|384|512)%s*:%s*[A-Za-z0-9+/=]+" % (GAP, GAP))),
    ("option", re.compile("(?:CWD|CHROOT)%s*=%s*(?:%s|%s|%s)" % (GAP, GAP, STRING, PATH, WORD))),
    ("tag", re.compile(r"(?:NO)?(?:%s)[ \t]*:" % TAGS)),
    ("word", re.compile(IPV6)),
    ("word", re.compile("%%:?(?:%s)" % ID)),
    ("word", re.compile("%%:%s" % WORD)),
    ("word", re.compile(WORD)),
    ("word", re.compile(ID)),
    ("mark", re.compile(r"[(),=:]|!+|>")),
]  # type: List[Tuple[str, Pattern[str]]]
COMMAND = re.compile(PATH)
EDIT = re.compile(r"sudoedit(?![^#>!=:,() \t\r\n\\\"])")
ARGUMENTS = re.compile(r"(?:\\[ \t]*\r?\n|[ \t]+|\\[*?\[\]!^:\\,= \t#]|(?!=(?:[#\\:, \t\r\n]|\Z))[^#\\:, \t\r\n]+)*")
REGEX_ARGUMENTS = re.compile(r"%s*\^(?:\\[^\r\n]|\\\r?\n|[^#\\\r\n$])*\$" % GAP)
DEFAULTS = re.compile(r"[ \t]*Defaults(?:(?P<scope>[:@>!])[ \t]*(?=!*[^\s=,])|(?=[ \t\\]))")
ALIAS = re.compile(r"[ \t]*(?P<kind>Host|Cmnd|Cmd|User|Runas)_Alias(?=[ \t\\])")
INCLUDE = re.compile(r"(?P<where>[ \t]*@|#)include(?P<dir>dir)?[ \t]+(?P<path>%s|(?:\\[ \t]|\S)+)" % STRING)
NAME, OPERATOR, VALUE = re.compile("[a-z_]+"), re.compile(r"[+-]?="), re.compile(r"(?:[^#=, \t\r\n\\\"]|\\[^\r\n])+")


class SudoersError(Exception):
    """What can't be read, and at which place of the text."""


class Entry(object):
    """A logical line that says something, from ``start`` to ``end`` (before a comment), in line ``line`` of its file.

    ``kind``: rule, defaults, alias, include, includedir, or unreadable. ``members``: the users of a rule, or whom Defaults are for by
    ``scope`` (':' users, '@' hosts, '>' Runas, '!' commands, '' everybody). ``aliases``: of users, name -> members.
    """

    def __init__(self, kind, start, line):
        # type: (str, int, int) -> None
        self.kind, self.start, self.end, self.line = kind, start, start, line
        self.scope, self.path = "", ""
        self.members = []  # type: List[Member]
        self.options = []  # type: List[Option]
        self.tags = []  # type: List[Token]
        self.aliases = {}  # type: Dict[str, List[Member]]


def parse(text):
    # type: (str) -> List[Entry]
    """The entries in order. What sudo would not read either is an entry of the kind unreadable."""
    entries, at = [], 0  # type: List[Entry], int
    while at < len(text):
        entry = Entry("rule", at, text.count("\n", 0, at) + 1)
        try:
            _read(text, entry)
        except SudoersError:
            entry.kind, entry.end = "unreadable", _match(REST, text, at)
        if entry.end > at:
            entries.append(entry)
        comment = LOOSE_COMMENT.match(text, _after_gap(text, entry.end))
        at = _match(END, text, comment.end() if comment else _after_gap(text, entry.end))
    return entries


def _read(text, entry):
    # type: (str, Entry) -> None
    """Find out what begins at the entry's start; sets its end."""
    at = entry.start
    for pattern, reader in ((INCLUDE, _read_include), (DEFAULTS, _read_defaults), (ALIAS, _read_alias)):
        found = pattern.match(text, at)
        if found:
            entry.end = reader(text, entry, found)
            return _expect_end(text, entry)
    tokens = _tokens(text, at)
    if tokens:
        members, rest = _members(tokens)
        if not members or not any(token.text == "=" for token in rest[1:]):
            raise SudoersError(at)
        entry.members, entry.end = members, tokens[-1].end
        entry.tags = [token for token in rest if token.kind == "tag"]
    return _expect_end(text, entry)


def _expect_end(text, entry):
    # type: (str, Entry) -> None
    at = _after_gap(text, entry.end)
    comments = LOOSE_COMMENT if entry.kind == "defaults" else COMMENT
    if not (END.match(text, at) or comments.match(text, at)):
        raise SudoersError(at)


def _read_include(text, entry, found):
    # type: (str, Entry, re.Match[str]) -> int
    entry.kind = "includedir" if found.group("dir") else "include"
    entry.path = re.sub(r"\\([ \t])", r"\1", unquoted(found.group("path")))
    return found.end()


def _read_defaults(text, entry, found):
    # type: (str, Entry, re.Match[str]) -> int
    entry.kind, entry.scope, at = "defaults", found.group("scope") or "", found.end()
    while entry.scope:
        member = _member(text, at)
        entry.members.append(member)
        comma = re.compile("%s*,%s*" % (GAP, GAP)).match(text, member.end)
        at = comma.end() if comma else member.end
        if not comma:
            break
    while True:
        option = _option(text, _after_gap(text, at))
        entry.options.append(option)
        at = _after_gap(text, option.end)
        if text[at : at + 1] != ",":
            return int(option.end)
        at += 1


def _member(text, at):
    # type: (str, int) -> Member
    """One of those that Defaults are for; a command has no arguments there."""
    begin, negated = _negation(text, at)
    for kind, pattern in [("path", COMMAND)] + PARTS:
        found = pattern.match(text, begin)
        if found and kind in ("path", "string", "regex", "word"):
            return Member(negated, unquoted(found.group(0)), at, found.end())
    raise SudoersError(at)


def _option(text, at):
    # type: (str, int) -> Option
    begin, negated = _negation(text, at)
    name = NAME.match(text, begin)
    if not name:
        raise SudoersError(at)
    operator = OPERATOR.match(text, _after_gap(text, name.end()))
    if not operator or negated:
        return Option(negated, name.group(0), "", "", at, name.end())
    begin = _after_gap(text, operator.end())
    value = re.compile(STRING).match(text, begin) or VALUE.match(text, begin)
    if not value:
        raise SudoersError(at)
    return Option(False, name.group(0), operator.group(0), unquoted(value.group(0)), at, value.end())


def _read_alias(text, entry, found):
    # type: (str, Entry, re.Match[str]) -> int
    entry.kind = "alias"
    tokens = _tokens(text, found.end())
    if len(tokens) < 3:
        raise SudoersError(entry.start)
    rest = tokens
    while found.group("kind") == "User" and rest:
        if len(rest) < 3 or rest[0].kind != "word" or rest[1].text != "=":
            raise SudoersError(rest[0].start)
        entry.aliases[rest[0].text], after = _members(rest[2:])
        if after and after[0].text != ":":
            raise SudoersError(after[0].start)
        rest = after[1:]
    return int(tokens[-1].end)


def _members(tokens):
    # type: (List[Token]) -> Tuple[List[Member], List[Token]]
    """(the list at the beginning, what comes after it)."""
    members, at = [], 0  # type: List[Member], int
    while at < len(tokens):
        start, negated = tokens[at].start, False
        while at < len(tokens) and tokens[at].text.startswith("!"):
            negated, at = negated ^ (len(tokens[at].text) % 2 == 1), at + 1
        if at == len(tokens) or tokens[at].kind not in ("word", "string"):
            raise SudoersError(start)
        members.append(Member(negated, unquoted(tokens[at].text), start, tokens[at].end))
        at += 1
        if at == len(tokens) or tokens[at].text != ",":
            break
        at += 1
    return members, tokens[at:]


def _tokens(text, at):
    # type: (str, int) -> List[Token]
    """The parts up to the end of the logical line or a comment. A command is one part with its arguments."""
    tokens = []  # type: List[Token]
    while True:
        at = _after_gap(text, at)
        if END.match(text, at) or COMMENT.match(text, at):
            return tokens
        token = _command(text, at) or _part(text, at)
        tokens.append(token)
        at = token.end


def _command(text, at):
    # type: (str, int) -> Optional[Token]
    found = COMMAND.match(text, at) or EDIT.match(text, at)
    word = re.compile(WORD).match(text, at)
    if not found or (word and word.end() > found.end()):
        return None
    end = found.end()
    if not found.group(0).endswith("/"):  # a directory has no arguments
        end = _after_command(text, end)
    return Token("command", text[at:end], at, end)


def _part(text, at):
    # type: (str, int) -> Token
    for kind, pattern in PARTS:
        found = pattern.match(text, at)
        if found:
            end = _after_command(text, found.end()) if kind == "regex" else found.end()
            return Token(kind, text[at:end], at, end)
    raise SudoersError(at)


def _after_command(text, at):
    # type: (str, int) -> int
    """Where a command's arguments end, blanks after them not counted."""
    found = REGEX_ARGUMENTS.match(text, at) or ARGUMENTS.match(text, at)
    end = found.end() if found else at
    while True:
        blank = re.search(r"(?:[ \t]|\\[ \t]*\r?\n)\Z", text[at:end])
        if not blank or text[at:end].endswith(("\\ ", "\\\t")):
            return end
        end = at + blank.start()


def _negation(text, at):
    # type: (str, int) -> Tuple[int, bool]
    """(where it ends, whether there is one): an even number of exclamation marks is none."""
    found = re.compile("(?:!|%s)*" % GAP).match(text, at)
    marks = found.group(0).count("!") if found else 0
    return (found.end() if found and marks else at), marks % 2 == 1


def _after_gap(text, at):
    # type: (str, int) -> int
    found = SKIPPED.match(text, at)
    return found.end() if found else at


def _match(pattern, text, at):
    # type: (Pattern[str], str, int) -> int
    found = pattern.match(text, at)
    return found.end() if found else len(text)


def unquoted(text):
    # type: (str) -> str
    """A string's content; a word without the backslashes that quote single characters."""
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return re.sub(r"\\[ \t]*\r?\n[ \t]*", "", text[1:-1]).replace('\\"', '"')
    return re.sub(r"\\(.)", r"\1", text)
