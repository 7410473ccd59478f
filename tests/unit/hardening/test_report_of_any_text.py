"""Whatever text a host, an inventory or an exception brings into a report: every reader reads it, and nothing of it is obeyed."""

from __future__ import annotations

import csv
import datetime
import functools
import io
import re
import tempfile
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ansible_collections.ecommerce.fleet.plugins.module_utils._host.encoding import decoded, printable
from ansible_collections.ecommerce.fleet.plugins.modules.hardening import failure_message
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening import report
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.selection import Exemption
from hypothesis import example, given, settings
from hypothesis import strategies as st

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
ODD = [
    "\x1b[2J\x1b]0;root\x07", "]]>", "<![CDATA[", "--><script>alert(1)</script>", "\"' onload=alert(1) x=", "&#0;&x;", "\x00", "\r=1",
    "\t=1", "\n@x", "\u00a0+1", "\u3000-1", "\uff1d1", "\u2028=1", "\ufeff=1", "\u200b=1", "\udcff\ud800", "\ufffe", "\x85=1", "{{ 1 }}",
    "\u202egpj", "; =1",
]  # fmt: skip
text = st.one_of(st.text(max_size=60), st.binary(max_size=60).map(decoded), st.sampled_from(ODD))
names = text.filter(bool)
SUFFIXES = (".csv", ".html", ".json", ".xml")


class Tags(HTMLParser):
    """The tags of a page with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _value in attributes)))


def made(host: str, words: str) -> dict[str, Any]:
    """A report with the words everywhere that any may come."""
    facts = report.HostFacts(host, NOW, audit=True, release="al2", container=False)
    control = Control("a", words, 1, "low", words, "file", {}, "files", cis={}, maps={"soc2": [words]})
    results = [{"id": "a", "status": "fail", "changed": False, "reason": words, "evidence": [words, words]}]
    exempt = [Exemption("a", words, words, datetime.date(2027, 1, 1))]
    return report.host_report(facts, [control], exempt, results, None)


def files(folder: Path, host: str, words: str) -> dict[str, str]:
    """The fleet's files by suffix, of this host and a plain one."""
    report.write_host(folder, made(host, words))
    found = report.previous(folder, host)
    assert found is not None, "what was written is read again by the next run"
    report.write_fleet(folder, [found, made("web-2", "of another host")], [words])
    return {suffix: (folder / f"fleet{suffix}").read_bytes().decode("utf-8") for suffix in SUFFIXES}


@functools.cache
def plain_tags() -> list[tuple[str, tuple[str, ...]]]:
    with tempfile.TemporaryDirectory() as folder:
        return Tags(files(Path(folder), "web-1", "plain")[".html"]).found


def inert(cell: str) -> bool:
    """Whether a spreadsheet takes the cell as text, also one that drops white space or reads full-width signs."""
    plain = unicodedata.normalize("NFKC", cell)
    return not plain.startswith(("\t", "\r", "\n")) and inert_start(plain)


def inert_start(part: str) -> bool:
    return not unicodedata.normalize("NFKC", part).strip().startswith(("=", "+", "-", "@"))


def obeyed_by_a_terminal(shown: str) -> list[str]:
    return [c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cs")]


@settings(max_examples=150)
@given(names, text)
@example("web-1", "]]>")
@example("<script>alert(1)</script>", "\x1b[31m")
@example("=cmd|' /C calc'!A0", "\t=cmd|' /C calc'!A0")
@example("web-1", "\r=1+1")
@example("fleet", "")
@example("fleet.j10s", "")
@example("web-1", "a;=1+1")
@example("web-1", "a;\t =1+1\n+1")
def test_any_text_is_read_by_every_reader_and_obeyed_by_none(host: str, words: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = files(Path(folder), host, words)
    suite = ElementTree.fromstring(found[".xml"])[0]  # noqa: S314 - our own
    assert suite.get("name") == f"hardening.{printable(host)}"
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.get("message") == printable(words)
    rows = list(csv.reader(io.StringIO(found[".csv"], newline="")))
    assert len(rows) == 3 and len({len(row) for row in rows}) == 1
    assert [cell for row in rows for cell in row if not inert(cell)] == []
    # Where a comma is the decimal sign, a spreadsheet separates cells by semicolons or tabs.
    assert [
        part for row in rows for cell in row for part in re.split("[;\t\n]", cell)[1:] if part and not inert_start(part)
    ] == []
    assert Tags(found[".html"]).found == plain_tags()
    assert not [
        link for link in re.findall(r'href="([^"]*)"', found[".html"]) if not re.match(r"\./[^:/]*\.html$|#", link)
    ]
    assert all(obeyed_by_a_terminal(content.replace("\t", "")) == [] for content in found.values())


@given(names, text)
def test_what_goes_to_the_terminal_has_no_control_character(host: str, words: str) -> None:
    one = made(host, words)
    lines = [
        report.drift_message(one),
        report.closing_line(Path("reports") / printable(words).replace("/", ""), [one], [host]),
    ]
    assert [obeyed_by_a_terminal(line) for line in lines] == [[], []]


def test_a_failure_says_which_controls_could_not_be_checked() -> None:
    failed = [{"id": "a", "status": "fail", "reason": "x"}, {"id": "b", "status": "error", "reason": "nft is gone"}]
    assert failure_message(failed).splitlines()[:3] == [
        "2 of the controls fail or could not be checked:", "  a: x", "  b: could not be checked: nft is gone"
    ]  # fmt: skip
