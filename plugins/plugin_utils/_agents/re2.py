# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a regular expression is one that Go compiles, and with it the CloudWatch agent. Pure; control node only.

Python's `re` takes patterns that Go refuses (look-ahead, back references, possessive repetition) and refuses some that it takes.
Source: "Syntax" of Go's package regexp/syntax.
"""

# ruff: noqa: SIM905 - word lists read better as words

from __future__ import annotations

import re

MAX_REPEAT = 1000
"""Of a count, and of counts inside each other multiplied."""
MAX_DEPTH = 200
"""Fewer than Go's 1000: Python's own stack."""
_FLAGS = re.compile(r"\(\?([imsU]*)(-[imsU]+)?([:)])")
_NAMED = re.compile(r"\(\?P?<([A-Za-z0-9_]+)>")
_COUNT = re.compile(r"\{(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}")
_CATEGORY = re.compile(r"\\[pP](?:([A-Za-z])|\{\^?(\w+)\})")
_CHARACTER = re.compile(
    r"\\(?:[1-7][0-7]{1,2}|0[0-7]{0,2}|x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]+\}|[afnrtv]|[!-/:-@\[-`{-~ \x00-\x1f\x7f])"
)
_POSIX = re.compile(r"\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]")
_SIMPLE = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_MAX_RUNE = 0x10FFFF
_CATEGORIES = frozenset(
    "Any C Cc Cf Cn Co Cs L LC Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs".split()
)
_SCRIPTS = frozenset(
    """
    Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi
    Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform
    Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic
    Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew
    Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li
    Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani
    Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive
    Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu
    Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian
    Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician
    Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo
    Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan
    Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square
    """.split()
)
"""The names that Unicode 15.0 gives them."""


class _PatternError(Exception):
    """What Go would say."""


def error(pattern: str) -> str:
    """Why Go does not compile the pattern, with the part that it stumbles over; empty when it does."""
    parser = _Parser(pattern)
    try:
        parser.whole()
    except _PatternError as found:
        return str(found)
    return ""


class _Parser:
    """Each method takes what it is named after from `at` on; what it returns is the product of repeat counts inside each other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.names: set[str] = set()

    def whole(self) -> None:
        """Raises _PatternError unless the text is one expression."""
        self.alternation(0)
        if self.at < len(self.text):
            raise _PatternError("unexpected )")

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def alternation(self, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise _PatternError("expression nests too deeply")
        repeats = self._concatenation(depth)
        while self.text[self.at : self.at + 1] == "|":
            self.at += 1
            repeats = max(repeats, self._concatenation(depth))
        return repeats

    def _concatenation(self, depth: int) -> int:
        most, last = 0, None
        """`last`: the repeats of what a repetition would apply to; None where there is nothing."""
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            start = self.at
            if self.text[start] in "*+?" or _COUNT.match(self.text, start):
                if last is None:
                    raise _PatternError(f"missing argument to repetition operator: `{self._operator()}`")
                last = self._repetition(last)
            else:
                last = self._atom(depth, last)
            most = max(most, last or 0)
        return most

    def _operator(self) -> str:
        count = _COUNT.match(self.text, self.at)
        return count.group() if count else self.text[self.at]

    def _repetition(self, inner: int) -> int:
        start = self.at
        count = self._take(_COUNT)
        if count is None:
            self.at += 1
        if self.text[self.at : self.at + 1] == "?":
            self.at += 1
        if self.text[self.at : self.at + 1] in tuple("*+?") or _COUNT.match(self.text, self.at):
            raise _PatternError(
                f"invalid nested repetition operator: `{self.text[start : self.at] + self._operator()}`"
            )
        if count is None:
            return inner
        least = int(count[1])
        greatest = least if count[2] is None else int(count[3]) if count[3] else -1
        times = least if greatest < 0 else greatest
        repeats = times * max(1, inner)
        if least > MAX_REPEAT or 0 <= greatest < least or repeats > MAX_REPEAT:
            raise _PatternError(f"invalid repeat count: `{count.group()}`")
        return repeats

    def _atom(self, depth: int, last: int | None) -> int | None:
        sign = self.text[self.at]
        if sign == "(":
            return self._group(depth, last)
        if sign == "[":
            self._class()
        elif sign == "\\":
            return self._escape(last)
        else:
            self.at += 1
        return 0

    def _group(self, depth: int, last: int | None) -> int | None:
        start = self.at
        if self.text.startswith("(?", start):
            named = self._take(_NAMED)
            flags = None if named else self._take(_FLAGS)
            if named:
                if named[1] in self.names:
                    raise _PatternError(f"duplicate capture group name: `{named[1]}`")
                self.names.add(named[1])
            elif flags is None:
                raise _PatternError(f"invalid or unsupported Perl syntax: `{self.text[start : start + 4]}`")
            elif flags[3] == ")":
                return last
        else:
            self.at += 1
        repeats = self.alternation(depth + 1)
        if self.text[self.at : self.at + 1] != ")":
            raise _PatternError(f"missing closing ): `{self.text}`")
        self.at += 1
        return repeats

    def _escape(self, last: int | None) -> int | None:
        following = self.text[self.at + 1 : self.at + 2]
        if following == "Q":
            end = self.text.find("\\E", self.at + 2)
            quoted = self.text[self.at + 2 : end if end >= 0 else len(self.text)]
            self.at = end + 2 if end >= 0 else len(self.text)
            return 0 if quoted else last
        if following and following in "AzbBdDsSwW":
            self.at += 2
        elif following and following in "pP":
            self._category()
        else:
            self._character()
        return 0

    def _category(self) -> None:
        start = self.at
        found = self._take(_CATEGORY)
        if found is None or (found[1] or found[2]) not in _CATEGORIES | _SCRIPTS:
            self.at = start
            raise _PatternError(f"invalid character class range: `{self.text[self.at :].split('}')[0][:20]}`")

    def _character(self) -> int:
        """An escaped character; its number, where a range needs it."""
        if self.at + 1 == len(self.text):
            raise _PatternError("trailing backslash at end of expression")
        found = self._take(_CHARACTER)
        if found is None:
            raise _PatternError(f"invalid escape sequence: `{self.text[self.at : self.at + 2]}`")
        word = found.group()[1:]
        if word[0] == "x":
            number = int(word[1:].strip("{}"), 16)
            if number > _MAX_RUNE:
                raise _PatternError(f"invalid escape sequence: `{found.group()}`")
            return number
        if word[0] in "01234567":
            return int(word, 8)
        return _SIMPLE.get(word, ord(word))

    def _class(self) -> None:
        start = self.at
        self.at += 2 if self.text.startswith("[^", self.at) else 1
        first = True
        while first or self.text[self.at : self.at + 1] != "]":
            if self.at >= len(self.text):
                raise _PatternError(f"missing closing ]: `{self.text[start:]}`")
            self._member(start)
            first = False
        self.at += 1

    def _member(self, start: int) -> None:
        """A character, a range, or a class with a name."""
        if self.text.startswith("[:", self.at) and ":]" in self.text[self.at + 2 :]:
            if not self._take(_POSIX):
                raise _PatternError(f"invalid character class range: `{self.text[self.at :].split(':]')[0]}:]`")
            return
        following = self.text[self.at + 1 : self.at + 2] if self.text[self.at] == "\\" else ""
        if following and following in "pP":
            self._category()
            return
        if following and following in "dDsSwW":
            self.at += 2
            return
        begin = self.at
        low = self._class_character(start)
        if self.text[self.at : self.at + 1] == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
            self.at += 1
            if self._class_character(start) < low:
                raise _PatternError(f"invalid character class range: `{self.text[begin : self.at]}`")

    def _class_character(self, start: int) -> int:
        if self.at >= len(self.text):
            raise _PatternError(f"missing closing ]: `{self.text[start:]}`")
        if self.text[self.at] == "\\":
            return self._character()
        self.at += 1
        return ord(self.text[self.at - 1])
