# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any bytes as text and back, and text that can be shown anywhere. Pure; runs under Python 2.7 and 3.7+.

Names and contents of files are bytes in whatever encoding who made them had. As text each byte that is no UTF-8 is one of the characters
U+DC80 to U+DCFF, as PEP 383 has it, under Python 2 too: so a file that is read and written keeps its bytes, and a name still leads to
its file.
"""

from __future__ import absolute_import, division, print_function

import codecs
import re
import sys

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Match, Union  # noqa: F401

# The formatter would take the u off, which Python 2 needs.
# fmt: off
PYTHON2 = u"".__class__ is not str
LINES = u"\n\t"
"""What ``printable`` keeps of a text of several lines."""

_ESCAPED = 0xDC00
"""What is added to a byte that is no UTF-8."""
_ENCODED = re.compile(b"(\xed[\xa0-\xbf][\x80-\xbf])")
"""A surrogate in UTF-8, which Python 2 would take for a character."""
_WIDE = sys.maxunicode > 0xFFFF
_LONE = u"[\ud800-\udfff]" if _WIDE else u"[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]"
_BYTE = re.compile(u"([\udc80-\udcff])" if _WIDE else u"((?<![\ud800-\udbff])[\udc80-\udcff])")
# Control characters, what turns or hides the text around it, and what no XML may have.
_UNPRINTABLE = re.compile(
    u"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]|" + _LONE
)
_SHORT = {u"\n": u"\\n", u"\t": u"\\t", u"\r": u"\\r"}


def decoded(content):
    # type: (bytes) -> str
    """The text of the bytes."""
    if not PYTHON2:
        return content.decode("utf-8", "surrogateescape")
    parts = _ENCODED.split(content)
    texts = [_escape(part) if number % 2 else part.decode("utf-8", "fleet.bytes") for number, part in enumerate(parts)]
    return u"".join(texts)


def encoded(text):
    # type: (Union[str, bytes]) -> bytes
    """The bytes of a text: those that ``decoded`` made it of. Bytes, which Python 2's texts may be, stay."""
    if isinstance(text, bytes):
        return text
    if not PYTHON2:
        return text.encode("utf-8", "surrogateescape")
    parts = _BYTE.split(text)
    return b"".join(
        chr(ord(part) - _ESCAPED) if number % 2 else part.encode("utf-8")  # type: ignore[misc]
        for number, part in enumerate(parts)
    )


def native(text):
    # type: (str) -> str
    """As the calls of the system take it: bytes under Python 2, text under 3."""
    return encoded(text) if PYTHON2 else text  # type: ignore[return-value]


def name(answered):
    # type: (str) -> str
    """What a call of the system answered, as text."""
    return decoded(answered) if isinstance(answered, bytes) else answered


def printable(value, keep=u""):
    # type: (Any, str) -> str
    r"""The text of a value with escapes, such as \x1b, \xe9 and \u202e, for what a terminal, a page, XML or JSON can't show or obeys.

    ``keep``: characters that stay as they are, LINES in a text of several lines.
    """

    def escape(found):
        # type: (Match[str]) -> str
        character = found.group(0)
        if character in keep:
            return character
        code = ord(character)
        code = code - _ESCAPED if 0xDC80 <= code <= 0xDCFF else code
        return _SHORT.get(character) or (u"\\x%02x" if code < 0x100 else u"\\u%04x") % code

    return _UNPRINTABLE.sub(escape, u"%s" % (name(value),))


def _escape(content):
    # type: (bytes) -> str
    return u"".join(
        ("\\u%04x" % (_ESCAPED + byte)).encode("ascii").decode("unicode_escape") for byte in bytearray(content)
    )


if PYTHON2:
    codecs.register_error("fleet.bytes", lambda error: (_escape(error.object[error.start : error.end]), error.end))  # type: ignore
