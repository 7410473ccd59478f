"""Any bytes: as text and back they are the same, and what is shown of them can be shown anywhere."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.encoding import (
    LINES,
    decoded,
    encoded,
    native,
    printable,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import run
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hardening.machine import Machine
from tests.support.pythons import host_library, interpreter

# Latin-1, UTF-16, a surrogate in UTF-8, an overlong slash, a cut character, an emoji, controls, what XML can't have, a turned direction.
ODD = [
    b"caf\xe9 menu", b"\xff\xfeA\x00", b"\xed\xb3\xa9", b"\xc0\xaf", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"a\x1b[31mb\x07\x00",
    b"\xef\xbf\xbf",
    b"\xe2\x80\xae", bytes(range(256)), b"\xc2\x85\xc2\x9b", b"\\xe9 as text", "Grüße".encode(), "日本".encode("shift_jis"),
]  # fmt: skip


@given(st.binary())
def test_bytes_survive_as_text(content: bytes) -> None:
    assert encoded(decoded(content)) == content


@given(st.one_of(st.binary(), st.text(st.characters(exclude_categories=()))))
def test_what_is_printable_goes_into_utf_8_xml_and_json_and_obeys_nothing(value: bytes | str) -> None:
    text = printable(value)
    text.encode("utf-8")
    element = ElementTree.Element("a", b=text)
    element.text = text
    back = ElementTree.fromstring(ElementTree.tostring(element, encoding="unicode"))  # noqa: S314 - our own
    assert (back.get("b"), back.text or "") == (text, text)
    assert json.loads(json.dumps(text)) == text
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text)
    assert printable(text) == text


@given(st.text(st.characters(codec="ascii", exclude_categories=("Cc",))))
def test_plain_text_stays(text: str) -> None:
    assert printable(text) == text == printable(text.encode())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"caf\xe9 menu", r"caf\xe9 menu"),
        ("Grüße 日本 😀", "Grüße 日本 😀"),
        (b"\x1b[2J\x00\x7f", r"\x1b[2J\x00\x7f"),
        ("a\tb\r\nc", r"a\tb\r\nc"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\ud800\uffff", r"\ud800\uffff"),
        ("\u2028", r"\u2028"),
        (5, "5"),
    ],
)
def test_an_escape_says_which_byte_or_character_it_is(value: object, shown: str) -> None:
    assert printable(value) == shown


def test_lines_are_kept_where_a_text_has_some() -> None:
    assert printable("a\n\tb\x1b\r\n", LINES) == "a\n\tb\\x1b\\r\n"


CODE = r"""
import binascii, json, sys
sys.path.insert(0, sys.argv[1])
from module_utils._host.encoding import decoded, encoded, printable
from module_utils._host.errors import HostError
from module_utils._host.processes import run
answers = []
for word in sys.argv[2:]:
    content = binascii.unhexlify(word)
    text = decoded(content)
    assert encoded(text) == content, word
    assert "%s" % HostError("about %s" % text) == "about %s" % printable(text, "\n"), word
    assert encoded(run(["cat"], stdin=text).out) == content, word
    if b"\0" not in content:
        assert encoded(run(["printf", "%s", text]).out) == content, word
    answers.append(printable(text))
print(json.dumps(answers))
"""


@pytest.mark.parametrize("version", ["2.7", "3.7", "3.9"])
def test_it_is_the_same_under_the_hosts_pythons(version: str, tmp_path: Path) -> None:
    program = interpreter(version)
    if program is None:
        pytest.skip(f"there is no Python {version}")
    argv = [program, "-B", "-c", CODE, host_library(tmp_path, ("_host",)), *(content.hex() for content in ODD)]
    done = subprocess.run(argv, env={"LC_ALL": "C"}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [printable(decoded(content)) for content in ODD]


@pytest.mark.parametrize("content", ODD)
def test_a_process_gets_and_gives_any_bytes(content: bytes) -> None:
    assert encoded(run(["cat"], stdin=decoded(content)).out) == content


@pytest.mark.parametrize("content", ODD)
def test_a_file_that_is_changed_keeps_the_bytes_of_its_other_lines(machine: Machine, content: bytes) -> None:
    path = machine.put("/etc/f", "")
    path.write_bytes(content.replace(b"\n", b"") + b"\nkey=1\n")
    machine.system.write("/etc/f", (machine.system.read("/etc/f") or "").replace("key=1", "key=2"))
    assert path.read_bytes() == content.replace(b"\n", b"") + b"\nkey=2\n"


def test_an_error_about_any_name_can_be_shown(machine: Machine) -> None:
    folder = machine.root / native(decoded(b"caf\xe9 \x1b[31m"))
    folder.mkdir()
    with pytest.raises(HostError) as raised:
        machine.system.read(machine.system.shown(str(folder)))
    assert str(raised.value) == r"Cannot read /caf\xe9 \x1b[31m: Is a directory"
    assert machine.system.glob("/caf*") == ["/" + folder.name]
