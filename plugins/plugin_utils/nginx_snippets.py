# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Own directives of the role nginx, read as nginx reads them.

A block that has one `add_header`, `proxy_set_header` or `error_page` inherits none of those around it (nginx, ngx_http_headers_module).
So a block of a snippet that has one of them gets the role's as well, unless it sets the same header or code itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Words = tuple[str, ...]

KEYS: dict[str, Callable[[Words], set[str]]] = {
    "add_header": lambda words: {words[1].lower()},
    "proxy_set_header": lambda words: {words[1].lower()},
    "error_page": lambda words: {word for word in words[1:-1] if word.isdigit()},
}
"""Directive → what one of them is about; another one about the same takes its place."""
BLOCKS = ("server", "location", "if", "limit_except")
"""Blocks that inherit them."""
CONTEXTS = {"http": ("http",), "server": ("http", "server"), "location": ("http", "server")}
"""Level → the contexts of snippets that it is in."""
READ_ONCE = re.compile(
    r"include|((proxy|grpc|uwsgi)_)?ssl_(certificate|certificate_key|client_certificate|trusted_certificate|crl|dhparam|password_file)"
)
"""Directives whose files nginx reads when it loads its configuration, and not again."""
TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<mark>[;{}])|"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'"""
    r"""|(?P<word>(?!["'])(?:\\.|\$\{|[^\s;{\\])+)""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Directive:
    """`words`: its name and parameters without quotes. `text[start:end]` is all of it, up to the ; or {."""

    words: Words
    start: int
    end: int
    block: tuple[Directive, ...] | None = None

    @property
    def keys(self) -> set[str]:
        return KEYS[self.words[0]](self.words) if self.words[0] in KEYS and len(self.words) > 1 else set()


def directives(text: str) -> tuple[Directive, ...]:
    """Raises ValueError for text that nginx could not read by itself: an open quote or block, or no ; at the end."""
    return tuple(_block(_tokens(text)))


def _tokens(text: str) -> Iterator[tuple[str, str, int, int]]:
    """(kind, text without quotes, start, end) of each mark and word."""
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1} has a quote that is not closed")
        kind = str(match.lastgroup)
        if kind != "space":
            yield kind, match[kind], at, match.end()
        at = match.end()


def _block(tokens: Iterator[tuple[str, str, int, int]], name: str = "") -> Iterator[Directive]:
    words: list[str] = []
    first = 0
    for kind, text, start, end in tokens:
        if kind != "mark":
            first = first if words else start
            words.append(text)
        elif text == "}" and not words and name:
            return
        elif text == "}" or not words:
            raise ValueError(f"{text!r} stands where a directive should {'end' if words else 'begin'}")
        elif text == ";":
            yield Directive(tuple(words), first, end)
            words = []
        else:
            inner = tuple(_block(tokens, words[0]))
            yield Directive(tuple(words), first, end, inner)
            words = []
    if words or name:
        raise ValueError(f"{words[0] if words else name!r} is not closed")


def _all(found: Iterable[Directive]) -> Iterator[Directive]:
    for directive in found:
        yield directive
        yield from _all(directive.block or ())


def own_directives(snippets: Sequence[Mapping[str, Any]], context: str, name: str) -> list[tuple[Directive, str]]:
    """The directives of this name that stand directly in a context, with their text."""
    return [
        (directive, snippet["content"][directive.start : directive.end])
        for snippet in snippets
        if snippet["context"] == context
        for directive in directives(snippet["content"])
        if directive.words[0] == name
    ]


def with_own(lines: str, snippets: Sequence[Mapping[str, Any]], level: str) -> str:
    """The role's `lines` of one directive as they stand at a level: `http`, `server` or `location`.

    Those that snippets replace there or further out are left out; what snippets set further out, and nginx would drop here, is repeated.
    """
    role = directives(lines)
    replaced: set[str] = set()
    repeated: list[str] = []
    for context in CONTEXTS[level] if role else ():
        own = own_directives(snippets, context, role[0].words[0])
        replaced |= {key for each, _text in own for key in each.keys}
        repeated += [text for _each, text in own if context != level]
    kept = [lines[each.start : each.end] for each in role if not each.keys & replaced]
    return "\n".join([*kept, *repeated])


def completed(content: str, inherited: str) -> str:
    """A snippet's text; each block that would lose directives of `inherited` by one of its own has them before it."""
    role = [(each, inherited[each.start : each.end]) for each in directives(inherited)]
    inserts: list[tuple[int, list[str]]] = []
    for block in _all(directives(content)):
        for name in KEYS if block.words[0] in BLOCKS else ():
            own = [each for each in block.block or () if each.words[0] == name]
            taken = {key for each in own for key in each.keys}
            if own:
                lines = [text for each, text in role if each.words[0] == name and not each.keys & taken]
                inserts.append((own[0].start, lines))
    for place, lines in sorted(inserts, reverse=True):
        separator = _line_break(content, place)
        content = content[:place] + "".join(line + separator for line in lines) + content[place:]
    return content


def _line_break(content: str, place: int) -> str:
    """A new line that begins as the one at this place, if nothing but blanks is before it there; else a blank."""
    before = content[content.rfind("\n", 0, place) + 1 : place]
    return f"\n{before}" if not before.strip() else " "


def files_read(snippets: Sequence[Mapping[str, Any]]) -> list[str]:
    """Paths and patterns of the files that nginx reads for these snippets only when it loads its configuration."""
    found = (each.words for snippet in snippets for each in _all(directives(snippet["content"])))
    names = {words[1] for words in found if len(words) == 2 and READ_ONCE.fullmatch(words[0])}
    return sorted(
        name if name.startswith("/") else f"/etc/nginx/{name}" for name in names if not re.search(r"\$|^\w+:", name)
    )
