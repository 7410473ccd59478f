from __future__ import annotations

import csv
import datetime
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from plugins.plugin_utils.hardening import report
from plugins.plugin_utils.hardening.register import Control
from plugins.plugin_utils.hardening.selection import Exemption

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
    assert made(STATUSES)["score"] == 66.7


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


def test_the_page_is_self_contained_and_escapes_what_was_found() -> None:
    page = report.page([made(STATUSES)])
    assert not re.search(r"(src|href)=|@import|url\(|https?://", page)
    assert "b &lt;evidence&gt;" in page
    assert "<evidence>" not in page


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
    assert "5.2.4.8, 5.2.4.9" in report.page([made(STATUSES)])
