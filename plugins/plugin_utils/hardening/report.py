"""Reports of a host and of the fleet: JSON for programs, JUnit for CI, CSV for auditors, one self-contained HTML page for people."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .page import page
from .register import Control
from .selection import Exemption

GOOD = ("pass", "changed")
OPEN = ("fail",)


@dataclass(frozen=True)
class HostFacts:
    """What a report says about the run. ``audit``: nothing was changed."""

    host: str
    when: datetime.datetime
    audit: bool
    release: str
    container: bool
    used: dict[str, float] = field(default_factory=dict)
    """Processor seconds and megabytes of memory that the run took on the host."""


def host_report(
    facts: HostFacts,
    controls: Sequence[Control],
    exempt: Sequence[Exemption],
    results: Sequence[dict[str, Any]],
    before: dict[str, Any] | None,
) -> dict[str, Any]:
    """The report of one host, as it is written to JSON. ``before``: the one of the last run."""
    by_id = {result["id"]: result for result in results}
    old = {entry["id"]: entry for entry in before["controls"]} if before else {}
    when = facts.when.isoformat(timespec="seconds")
    entries = []
    for control in controls:
        known = {
            k: v
            for k, v in asdict(control).items()
            if k in ("id", "title", "section", "level", "severity", "rationale", "cis", "maps")
        }
        result = by_id[control.id]
        entries.append({**known, **result, "since": _since_when(result, old.get(control.id), before, when)})
    summary = Counter(entry["status"] for entry in entries)
    return {
        **asdict(facts),
        "when": when,
        "summary": dict(summary),
        "score": score(summary),
        "exceptions": [
            {**asdict(item), "expires": item.expires.isoformat(), "days_left": item.days_left(facts.when.date())}
            for item in exempt
        ],
        "controls": entries,
        "since": since(before, entries),
    }


def score(summary: Counter[str]) -> float:
    """Percent of the controls that apply and were decided that hold, rounded down: one that does not is never 100."""
    decided = sum(summary[status] for status in (*GOOD, *OPEN))
    return math.floor(1000 * sum(summary[status] for status in GOOD) / decided) / 10 if decided else 100.0


def since(before: dict[str, Any] | None, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What differs from the last run: {when, changes: [{id, title, before, now}]}. Holding and just set to hold are the same."""
    if before is None:
        return {"when": None, "changes": []}
    old = {entry["id"]: entry["status"] for entry in before["controls"]}
    changes = [
        {"id": entry["id"], "title": entry["title"], "before": old.get(entry["id"], "new"), "now": entry["status"]}
        for entry in entries
        if _kind(old.get(entry["id"], "new")) != _kind(entry["status"])
    ]
    return {"when": before["when"], "changes": changes}


def _since_when(result: dict[str, Any], old: dict[str, Any] | None, before: dict[str, Any] | None, when: str) -> str:
    """Since which run the control has been as it is now."""
    if before is None or old is None or _kind(old["status"]) != _kind(result["status"]):
        return when
    return str(old.get("since", before["when"]))


def summary_of(text: str, name: str) -> dict[str, Any]:
    """What a manifest or a tag says of a host's report, given as it is in its file: enough to tell the result and to recognise the file."""
    report = json.loads(text)
    return {
        "report": name,
        "sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
        **{key: report[key] for key in ("when", "release", "score", "summary", "exceptions")},
        "results": {entry["id"]: entry["status"] for entry in report["controls"]},
    }


def drift_message(report: dict[str, Any]) -> str:
    """What does not hold on the host, since which run, and what it was before; for whoever reads the output of a scheduled audit."""
    was = {change["id"]: change["before"] for change in report["since"]["changes"]}
    failing = [entry for entry in report["controls"] if entry["status"] in OPEN]
    lines = [f"{len(failing)} of the controls do not hold on {report['host']}:"]
    for entry in failing:
        news = f" (was {was[entry['id']].replace('_', ' ')} on {report['since']['when']})" if entry["id"] in was else ""
        lines.append(f"  {entry['id']}, since {entry['since']}{news}: {entry['reason']}")
    lines.append("Correct the host, or add an exception with reason, owner and expiry to hardening_exceptions.")
    return "\n".join(lines)


def _kind(status: str) -> str:
    return "pass" if status in GOOD else status


def previous(folder: Path, host: str) -> dict[str, Any] | None:
    """The host's last report; None if there is none that can be read."""
    try:
        found: dict[str, Any] = json.loads((folder / f"{host}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found


def write_host(folder: Path, report: dict[str, Any]) -> None:
    """Write ``<host>.json``, ``<host>.xml``, ``<host>.csv`` and ``<host>.html``."""
    _write(folder / f"{report['host']}.json", json.dumps(report, indent=1, default=str) + "\n")
    _write(folder / f"{report['host']}.xml", junit([report]))
    _write(folder / f"{report['host']}.csv", evidence_csv([report]))
    _write(folder / f"{report['host']}.html", page([report], Counter(report["summary"]), report["score"]))


def write_fleet(folder: Path, reports: Sequence[dict[str, Any]], missing: Sequence[str] = ()) -> None:
    """Write ``fleet.json``, ``fleet.xml``, ``fleet.csv`` and ``fleet.html`` from the hosts' reports. ``missing``: hosts without one."""
    summary: Counter[str] = Counter()
    for report in reports:
        summary.update(report["summary"])
    hosts = [{k: v for k, v in report.items() if k != "controls"} for report in reports]
    failing = Counter(entry["id"] for report in reports for entry in report["controls"] if entry["status"] in OPEN)
    fleet = {"summary": dict(summary), "failing": dict(failing), "missing": list(missing), "hosts": hosts}
    _write(folder / "fleet.json", json.dumps(fleet, indent=1) + "\n")
    _write(folder / "fleet.xml", junit(reports, missing))
    _write(folder / "fleet.csv", evidence_csv(reports))
    _write(folder / "fleet.html", page(reports, summary, score(summary), missing))


def junit(reports: Sequence[dict[str, Any]], missing: Sequence[str] = ()) -> str:
    """JUnit: a suite per host, a case per control; what does not apply and what is excepted is skipped with its reason.

    A host without a report is a suite with an error.
    """
    root = ElementTree.Element("testsuites")
    for report in reports:
        summary = report["summary"]
        skipped = sum(summary.get(name, 0) for name in ("not_applicable", "excepted", "not_applied_here"))
        counts = {"tests": len(report["controls"]), "failures": summary.get("fail", 0), "errors": 0, "skipped": skipped}
        attributes = {
            "name": f"hardening.{report['host']}",
            "timestamp": report["when"],
            **{k: str(v) for k, v in counts.items()},
        }
        suite = ElementTree.SubElement(root, "testsuite", attributes)
        for entry in report["controls"]:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{report['host']}.{entry['section']}", name=entry["id"]
            )
            if entry["status"] in OPEN:
                failure = ElementTree.SubElement(case, "failure", message=entry["reason"])
                failure.text = "\n".join([entry["title"], *entry["evidence"]])
            elif entry["status"] not in GOOD:
                ElementTree.SubElement(case, "skipped", message=f"{entry['status']}: {entry['reason']}")
    for host in missing:
        suite = ElementTree.SubElement(
            root, "testsuite", name=f"hardening.{host}", tests="1", failures="0", errors="1", skipped="0"
        )
        case = ElementTree.SubElement(suite, "testcase", classname=host, name="reached")
        ElementTree.SubElement(case, "error", message="the host was not reached: this run has no report of it")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


CSV_COLUMNS = (
    "host", "when", "release", "control", "title", "section", "cis", "level", "severity", "status", "since", "reason", "evidence",
    "pci_dss", "soc2", "iso27001", "gdpr",
)  # fmt: skip


def evidence_csv(reports: Sequence[dict[str, Any]]) -> str:
    """A line per host and control, for auditors' spreadsheets."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for report in reports:
        for entry in report["controls"]:
            row = {
                **entry,
                **{name: " ".join(refs) for name, refs in entry["maps"].items()},
                "host": report["host"],
                "when": report["when"],
                "release": report["release"],
                "control": entry["id"],
                "cis": " ".join(entry["cis"].get(report["release"], [])),
                "evidence": "; ".join(entry["evidence"]),
            }
            writer.writerow(_inert(str(row.get(name, ""))) for name in CSV_COLUMNS)
    return stream.getvalue()


def _inert(text: str) -> str:
    """A text that a spreadsheet does not take for a formula: what was found on a host may have been put there for that."""
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def _write(path: Path, text: str) -> None:
    """Replace the file in one step: hosts' workers write at once, and a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)
