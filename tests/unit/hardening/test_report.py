from __future__ import annotations

import csv
import datetime
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from plugins.action.hardening_report import current
from plugins.plugin_utils.hardening import page, report
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
    assert made(STATUSES)["score"] == 66.6
    assert report.score(Counter({"pass": 9999, "fail": 1})) < 100


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
    assert set(re.findall(r'href="([^"]*)"', shown(made(STATUSES), missing=("web-9",)))) == {"web-1.html"}
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


def test_a_change_since_the_last_run_is_told_once_with_its_hosts() -> None:
    before = made({"a": "pass"})
    one = made({"a": "fail"}, before)
    (change,) = page.changes([one, {**one, "host": "web-2"}])
    assert (change["id"], change["before"], change["now"], change["hosts"]) == ("a", "pass", "fail", ["web-1", "web-2"])
    assert "There was none: this is the first." in shown(before)
    assert "Nothing is different." in shown(made({"a": "pass"}, before))


def test_a_host_that_was_not_reached_is_named_and_an_error_in_junit() -> None:
    assert "href" not in shown(made(STATUSES))
    assert "Not reached, so nothing is known of: web-9" in shown(made(STATUSES), missing=("web-9",))
    suite = ElementTree.fromstring(report.junit([made(STATUSES)], ["web-9"]))[1]  # noqa: S314 - our own
    assert (suite.get("name"), suite.get("errors")) == ("hardening.web-9", "1")


def test_a_report_of_an_earlier_run_does_not_pass_for_one_of_this() -> None:
    old = {"host": "web-2", "when": (NOW - datetime.timedelta(days=1)).isoformat()}
    new = {"host": "web-1", "when": NOW.isoformat()}
    assert current([new, old], NOW + datetime.timedelta(minutes=1)) == ([new], ["web-2"])


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
