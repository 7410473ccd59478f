from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import json
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from ansible_collections.ecommerce.fleet.plugins.action.hardening_report import current
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening import page, report
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.selection import Exemption

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
FACTS = report.HostFacts("web-1", NOW, audit=True, release="al2023", container=False)


def control(name: str) -> Control:
    return Control(
        name, f"Title of {name}", 1, "low", "Because <b>.", "file", {"path": "/f"}, "files",
        cis={"al2023": ["5.2.4.8", "5.2.4.9"]}, maps={"soc2": ["CC6.1"]},
    )  # fmt: skip


def result(name: str, status: str, reason: str = "") -> dict[str, Any]:
    return {"id": name, "status": status, "changed": False, "reason": reason, "evidence": [f"{name} <evidence>"]}


def made(statuses: dict[str, str], before: dict[str, Any] | None = None) -> dict[str, Any]:
    exempt = [Exemption("d", "agreed", "me", datetime.date(2026, 12, 25))]
    results = [result(name, status, "why" if status != "pass" else "") for name, status in statuses.items()]
    return report.host_report(FACTS, [control(name) for name in statuses], exempt, results, before)


STATUSES = {"a": "pass", "b": "fail", "c": "not_applicable", "d": "excepted", "e": "not_applied_here", "f": "changed"}


def test_the_score_counts_only_what_applies_and_was_decided() -> None:
    assert made(STATUSES)["score"] == 66.6
    assert report.score(Counter({"pass": 9999, "fail": 1})) == 99.9


@pytest.mark.parametrize(
    "summary",
    [
        {},
        {"not_applicable": 7},
        {"excepted": 3, "not_applied_here": 1},
        {"error": 2},
        {"error": 1, "not_applicable": 9},
    ],
)
def test_where_nothing_was_decided_there_is_no_score(summary: dict[str, int]) -> None:
    assert report.score(Counter(summary)) is None


def test_what_could_not_be_checked_counts_as_not_compliant() -> None:
    assert report.score(Counter({"pass": 3, "error": 1})) == 75.0
    assert report.score(Counter({"fail": 1, "error": 1})) == 0.0


def test_a_host_on_which_nothing_was_decided_has_no_score_on_its_page_and_takes_the_fleets(tmp_path: Path) -> None:
    nothing = {**made({"a": "not_applicable", "d": "excepted"}), "host": "web-2"}
    report.write_host(tmp_path, nothing)
    assert report.previous(tmp_path, "web-2") == json.loads(json.dumps(nothing))
    html = (tmp_path / "web-2.html").read_text()
    assert (
        "no score" in html and "nothing was decided" in html and "100" not in html.split("</style>")[1].split("<h2>")[0]
    )
    report.write_fleet(tmp_path, [made({"a": "pass"}), nothing])
    assert json.loads((tmp_path / "fleet.json").read_text())["score"] is None
    assert "no score" in (tmp_path / "fleet.html").read_text()


@pytest.mark.parametrize("audited", [0, 1])
def test_a_fleet_that_was_not_seen_whole_has_no_score(tmp_path: Path, audited: int) -> None:
    """Also where no host was reached: the files of the run before would pass for this one's."""
    report.write_fleet(tmp_path, [made({"a": "pass"}), {**made({"a": "pass"}), "host": "web-2"}])
    assert "100.0 %" in (tmp_path / "fleet.html").read_text()
    missing = ["web-1", "web-2"][audited:]
    report.write_fleet(tmp_path, [made({"a": "pass"})][:audited], missing)
    fleet = json.loads((tmp_path / "fleet.json").read_text())
    assert (fleet["score"], fleet["missing"], len(fleet["hosts"])) == (None, missing, audited)
    html = (tmp_path / "fleet.html").read_text()
    assert f"{len(missing)} of 2 hosts have no results in this run" in html
    assert html.count("100.0 %") == audited, "the host's own score at most"
    suites = ElementTree.fromstring((tmp_path / "fleet.xml").read_text())  # noqa: S314 - our own
    assert [suite.get("errors") for suite in suites] == ["0"] * audited + ["1"] * len(missing)
    assert len((tmp_path / "fleet.csv").read_text().splitlines()) == 1 + audited


def test_a_control_that_could_not_be_checked_is_an_error_for_ci_and_named_for_people() -> None:
    found = made({"a": "pass", "b": "error", "c": "fail"})
    suite = ElementTree.fromstring(report.junit([found]))[0]  # noqa: S314 - our own
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "1", "0")
    assert [case.get("name") for case in suite if case.find("error") is not None] == ["b"]
    message = report.drift_message(found)
    assert message.startswith("Non-compliant controls on web-1: 1 of 3; could not be checked: 1\n")
    assert f"b, since {found['when']}: could not be checked: why" in message
    assert [title for title, _rows in page.parts(page.rows([found]))] == [
        "non-compliant",
        "could not be checked",
        "files",
    ]


def test_the_closing_line_has_counts_missing_hosts_and_the_pages_path(tmp_path: Path) -> None:
    line = report.closing_line(tmp_path, [made({"a": "pass", "b": "fail", "c": "error"})], ["web-8", "web-9"])
    assert line == (
        "1 of 3 hosts checked; 1 fail, 1 could not be checked, 1 pass; no results of web-8, web-9; "
        f"report: {tmp_path}/fleet.html"
    )
    many = report.closing_line(tmp_path, [], [f"web-{number:03}" for number in range(300)])
    assert "0 of 300 hosts checked; no control was evaluated" in many
    assert "web-019 and 280 more" in many


def test_what_changed_since_the_last_run_is_told() -> None:
    before = made({"a": "pass", "b": "pass", "c": "changed"})
    now = made({"a": "fail", "b": "changed", "c": "pass", "d": "fail"}, before)
    assert [(c["id"], c["before"], c["now"]) for c in now["since"]["changes"]] == [
        ("a", "pass", "fail"),
        ("d", "new", "fail"),
    ]


def test_exceptions_are_reported_with_the_days_left() -> None:
    assert made(STATUSES)["exceptions"][0]["days_left"] == 30


def test_junit_has_a_case_for_each_control() -> None:
    suite = ElementTree.fromstring(report.junit([made(STATUSES)]))[0]  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", "1", "3")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["b"]


def shown(*reports: dict[str, Any], missing: tuple[str, ...] = ()) -> str:
    return page.page(reports, Counter(reports[0]["summary"]), 50.0, missing)


def test_the_page_is_self_contained_and_escapes_what_was_found() -> None:
    html = shown(made(STATUSES))
    assert not re.search(r"src=|@import|url\(|https?://", html)
    assert set(re.findall(r'href="([^"]*)"', shown(made(STATUSES), missing=("web-9",)))) == {
        "./web-1.html",
        *(f"#{name}" for name in STATUSES),
    }
    assert "<evidence>" not in html
    assert "b &lt;evidence&gt;" in html
    assert "Because &lt;b&gt;." in html
    assert "30</td>" in html, "days left of the exception"


def test_a_fleets_page_has_a_control_once_for_the_hosts_that_agree_on_it() -> None:
    two = {**made({"a": "fail", "b": "pass"}), "host": "web-2"}
    rows = page.rows([made({"a": "pass", "b": "pass"}), two])
    assert [(row["id"], row["status"], row["hosts"]) for row in rows] == [
        ("a", "fail", ["web-2"]),
        ("a", "pass", ["web-1"]),
        ("b", "pass", ["web-1", "web-2"]),
    ]
    many = [{**made({"a": "pass"}), "host": f"web-{number}"} for number in range(500)]
    assert len(shown(*many)) < len(shown(many[0])) + 500 * 300, "hosts are counted, not listed in every row"


def test_a_change_since_the_last_run_is_shown_once_with_its_hosts() -> None:
    before = made({"a": "pass"})
    one = made({"a": "fail"}, before)
    (change,) = page.changes([one, {**one, "host": "web-2"}])
    assert (change["id"], change["before"], change["now"], change["hosts"]) == ("a", "pass", "fail", ["web-1", "web-2"])
    assert "There is no earlier report: this is the first." in shown(before)
    assert "No status changed." in shown(made({"a": "pass"}, before))


def test_an_unreachable_host_is_named_and_an_error_in_junit() -> None:
    assert '.html"' not in shown(made(STATUSES))
    assert "Hosts without results in this run: web-9" in shown(made(STATUSES), missing=("web-9",))
    assert 'href="./web-9' not in shown(made(STATUSES), missing=("web-9",))
    suite = ElementTree.fromstring(report.junit([made(STATUSES)], ["web-9"]))[1]  # noqa: S314 - our own
    assert (suite.get("name"), suite.get("errors")) == ("hardening.web-9", "1")


def test_a_report_of_an_earlier_run_does_not_pass_for_one_of_this() -> None:
    """Ten seconds before it is as old as a day before."""
    old = {"host": "web-2", "when": (NOW - datetime.timedelta(seconds=10)).isoformat()}
    new = {"host": "web-1", "when": NOW.isoformat(timespec="seconds")}
    began = NOW + datetime.timedelta(milliseconds=300)
    assert current({"web-2": old, "web-1": new, "web-0": None}, began) == ([new], ["web-0", "web-2"])


@pytest.mark.parametrize(
    "host",
    ["fleet", "../web", "/etc/web", "a/b", "fe80::1", "web 1", "x" * 300, "%66leet", ".", "..", "caf\u00e9", "\udce9"],
)
def test_a_hosts_files_stay_in_the_folder_and_are_its_own(tmp_path: Path, host: str) -> None:
    folder = tmp_path / "reports"
    odd = report.host_report(dataclasses.replace(FACTS, host=host), [control("a")], [], [result("a", "pass")], None)
    report.write_host(folder, odd)
    report.write_fleet(folder, [odd, made({"a": "pass"})])
    assert len(list(folder.iterdir())) == 8, "its own four and the fleet's"
    assert list(tmp_path.iterdir()) == [folder]
    assert report.previous(folder, host) == json.loads(json.dumps(odd))
    (link,) = {
        link for link in re.findall(r'href="\./([^"]*)"', (folder / "fleet.html").read_text()) if link != "web-1.html"
    }
    assert (folder / unquote(link)).exists(), "the fleet's page leads there"


def test_host_and_fleet_reports_are_written_and_read_back(tmp_path: Path) -> None:
    report.write_host(tmp_path, made(STATUSES))
    found = report.previous(tmp_path, "web-1")
    assert found is not None
    report.write_fleet(tmp_path, [found, {**found, "host": "web-2"}])
    fleet = json.loads((tmp_path / "fleet.json").read_text())
    assert (fleet["summary"]["fail"], fleet["failing"]) == (2, {"b": 2})
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{name}.{kind}" for name in ("web-1", "fleet") for kind in ("json", "xml", "csv", "html")
    }
    assert "web-2" in (tmp_path / "fleet.html").read_text()


def test_a_broken_former_report_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "web-1.json").write_text("{")
    assert report.previous(tmp_path, "web-1") is None


def test_a_failing_control_keeps_the_time_of_the_run_that_saw_it_first() -> None:
    first = made({"a": "pass", "b": "fail"})
    later = {
        **first,
        "when": "2026-11-26T00:00:00+00:00",
        "controls": [{**c, "since": "2026-11-20"} for c in first["controls"]],
    }
    now = made({"a": "fail", "b": "fail"}, later)
    assert {c["id"]: c["since"] for c in now["controls"]} == {"a": now["when"], "b": "2026-11-20"}
    message = report.drift_message(now)
    assert f"a, since {now['when']} (was pass on 2026-11-26T00:00:00+00:00): why" in message
    assert "b, since 2026-11-20: why" in message


def test_the_evidence_has_a_line_for_each_control_and_no_formula() -> None:
    found = made(STATUSES)
    found["controls"][0]["reason"] = '=HYPERLINK("x")'
    rows = list(csv.DictReader(io.StringIO(report.evidence_csv([found, {**found, "host": "web-2"}]))))
    assert len(rows) == 2 * len(STATUSES)
    assert (rows[0]["host"], rows[0]["control"], rows[0]["reason"]) == ("web-1", "a", '\'=HYPERLINK("x")')
    assert rows[-1]["status"] == "changed"


def test_every_recommendation_that_a_control_is_part_of_is_named() -> None:
    row = next(csv.DictReader(io.StringIO(report.evidence_csv([made(STATUSES)]))))
    assert row["cis"] == "5.2.4.8 5.2.4.9"
    assert "5.2.4.8, 5.2.4.9" in shown(made(STATUSES))


ODD = ["\x1b[31m", "a\x00b", "\udce9", "\ud800", "\uffff", "\x85", "\u2028", "]]>", "<script>", "\u202e"]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("place", ["reason", "evidence", "title", "rationale", "exception", "host"])
def test_odd_text_wherever_it_comes_from_costs_no_report(tmp_path: Path, place: str, text: str) -> None:
    """As an older version may have kept it, or as a person has written it into an exception."""
    odd = json.loads(json.dumps(made(STATUSES)))
    for entry in odd["controls"]:
        entry.update({"evidence": [text]} if place == "evidence" else {place: text} if place in entry else {})
    odd["exceptions"][0]["reason"] = text if place == "exception" else "agreed"
    if place == "host":
        odd["host"] = f"web-1 {text}"
    report.write_fleet(tmp_path, [odd, {**made(STATUSES), "host": "web-2"}])
    found = {path.suffix: path.read_bytes().decode() for path in tmp_path.iterdir()}
    assert set(found) == {".json", ".xml", ".csv", ".html"}
    assert len(ElementTree.fromstring(found[".xml"])) == 2  # noqa: S314 - our own
    assert len(list(csv.reader(io.StringIO(found[".csv"])))) == 1 + 2 * len(STATUSES)
    for content in found.values():
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800-\udfff\uffff]", content)


def test_a_report_that_can_not_be_written_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        report.write_host(tmp_path, made(STATUSES))
    assert list(tmp_path.iterdir()) == []


def test_no_form_of_a_sign_that_begins_a_formula_is_left_out() -> None:
    every = map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)])
    signs = [sign for sign in every if unicodedata.normalize("NFKC", sign).strip().startswith(("=", "+", "-", "@"))]
    assert len(signs) > 4
    assert [sign for sign in signs if not report.FORMULA.match(sign) or not report.FORMULA.search(f"a; {sign}")] == []


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        *((start, f"'{start}") for start in ("=", "+", "-", "@", " =", "\u00a0=", "\t", "\uff1d")),
        ("\r=", "\\r="),
        # What follows a tab or a line break is a cell of its own to some.
        ("\t=", "'\t'="),
        ("\n=", "'\n'="),
        (" \t @", "' \t' @"),
        ("x;=", "x;'="),
    ],
)
def test_no_cell_is_taken_for_a_formula(start: str, shown: str) -> None:
    odd = made(STATUSES)
    odd["controls"][0].update(reason=f"{start}1+1", evidence=[f"{start}cmd"], title=f"{start}2")
    row = next(csv.DictReader(io.StringIO(report.evidence_csv([odd]), newline="")))
    assert [row[name] for name in ("reason", "evidence", "title")] == [f"{shown}{rest}" for rest in ("1+1", "cmd", "2")]


WRONG: list[tuple[str, Any]] = [
    ("", []), ("", "text"), ("controls", None), ("controls", [1]), ("controls", [{"id": "a"}]), ("summary", {"fail": "one"}),
    ("when", "today"), ("when", "2026-11-25T12:00:00"), ("host", "web-2"), ("exceptions", [{}]), ("score", "100"), ("since", {}),
    ("since", {"when": None, "changes": [1]}),
]  # fmt: skip


@pytest.mark.parametrize(("part", "value"), WRONG)
def test_a_former_report_without_what_it_needs_is_as_none(tmp_path: Path, part: str, value: Any) -> None:
    good = made(STATUSES, made({"a": "fail"}))
    (tmp_path / "web-1.json").write_text(json.dumps(good))
    assert report.previous(tmp_path, "web-1") == json.loads(json.dumps(good))
    (tmp_path / "web-1.json").write_text(json.dumps({**good, part: value} if part else value))
    assert report.previous(tmp_path, "web-1") is None


@pytest.mark.parametrize(
    "entry", [{"evidence": [1]}, {"evidence": "x"}, {"status": "odd"}, {"cis": {"al2": 5}}, {"reason": None}]
)
def test_a_former_report_with_an_odd_control_is_as_none(tmp_path: Path, entry: dict[str, Any]) -> None:
    good = made(STATUSES)
    (tmp_path / "web-1.json").write_text(json.dumps({**good, "controls": [{**good["controls"][0], **entry}]}))
    assert report.previous(tmp_path, "web-1") is None
