# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of a host and of the fleet: JSON for programs, JUnit for CI, CSV for auditors, one self-contained HTML page for people."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
import os
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...module_utils._hardening.engine import OPEN
from ...module_utils._host.encoding import LINES, printable
from . import naming
from .page import STATUSES, label, page
from .register import Control
from .report_shape import is_report
from .selection import Exemption

GOOD = ("pass", "changed")
NAMED_MISSING = 20
"""So many missing hosts are named on the terminal; all are in the reports."""
# Also signs that compatibility normalization (NFKC) makes one of these: full width, small, raised, lowered.
_SIGN = r"\s*[=+\-@\u207a\u207c\u208a\u208c\u2a75\u2a76\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
FORMULA = re.compile(rf"^(?={_SIGN}|[\t\n])|(?<=[;\t\n])(?={_SIGN})")
"""Before what a spreadsheet takes for a formula, also after white space that it drops, and after what separates cells where a comma is the
decimal sign."""


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
        shown = {"reason": printable(result["reason"]), "evidence": [printable(line) for line in result["evidence"]]}
        entries.append({**known, **result, **shown, "since": _since_when(result, old.get(control.id), before, when)})
    summary = Counter(entry["status"] for entry in entries)
    return {
        **asdict(facts),
        "host": printable(facts.host),
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


def score(summary: Counter[str]) -> float | None:
    """Percent of the applicable controls that are compliant, rounded down: with one that is not it is never 100.

    One that could not be checked counts as one that is not. None where nothing was decided: that says nothing of the host.
    """
    good = sum(summary[status] for status in GOOD)
    if not good + summary["fail"]:
        return None
    return math.floor(1000 * good / (good + sum(summary[status] for status in OPEN))) / 10


def since(before: dict[str, Any] | None, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What differs from the last run: {when, changes: [{id, title, before, now}]}. Compliant and just remediated are the same."""
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


def drift_message(report: dict[str, Any]) -> str:
    """What fails on the host, since which run, and what it was before; for whoever reads the output of a scheduled audit."""
    was = {change["id"]: change["before"] for change in report["since"]["changes"]}
    failing = [entry for entry in report["controls"] if entry["status"] in OPEN]
    name = printable(report["host"])
    unchecked = sum(entry["status"] == "error" for entry in failing)
    more = f"; could not be checked: {unchecked}" if unchecked else ""
    lines = [f"Non-compliant controls on {name}: {len(failing) - unchecked} of {len(report['controls'])}{more}"]
    for entry in failing:
        news = f" (was {was[entry['id']].replace('_', ' ')} on {report['since']['when']})" if entry["id"] in was else ""
        kind = "could not be checked: " if entry["status"] == "error" else ""
        lines.append(f"  {entry['id']}, since {entry['since']}{news}: {kind}{entry['reason']}")
    lines.append("Remediate the host, or add an exception with reason, owner and expiry to hardening_exceptions.")
    return "\n".join(lines)


def _kind(status: str) -> str:
    return "pass" if status in GOOD else status


def previous(folder: Path, host: str) -> dict[str, Any] | None:
    """The host's last report; None if there is none that can be read: one odd file costs no other host its report."""
    try:
        found: Any = json.loads((folder / f"{naming.stem(host)}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if is_report(found, printable(host)) else None


def write_host(folder: Path, report: dict[str, Any]) -> None:
    """Write ``<host>.json``, ``<host>.xml``, ``<host>.csv`` and ``<host>.html`` (see naming.stem)."""
    stem = naming.stem(report["host"])
    _write(folder / f"{stem}.json", json.dumps(report, indent=1, default=str) + "\n")
    _write(folder / f"{stem}.xml", junit([report]))
    _write(folder / f"{stem}.csv", evidence_csv([report]))
    _write(folder / f"{stem}.html", page([report], Counter(report["summary"]), report["score"]))


def write_fleet(folder: Path, reports: Sequence[dict[str, Any]], missing: Sequence[str] = ()) -> None:
    """Write ``fleet.json``, ``fleet.xml``, ``fleet.csv`` and ``fleet.html`` from the hosts' reports.

    ``missing``: hosts without one. Of a fleet that was not seen whole there is no score.
    """
    summary, percent = fleet_summary(reports), fleet_score(reports, missing)
    hosts = [{k: v for k, v in report.items() if k != "controls"} for report in reports]
    failing = Counter(entry["id"] for report in reports for entry in report["controls"] if entry["status"] in OPEN)
    fleet = {
        "summary": dict(summary), "score": percent, "failing": dict(failing), "missing": list(missing), "hosts": hosts,
    }  # fmt: skip
    _write(folder / "fleet.json", json.dumps(fleet, indent=1) + "\n")
    _write(folder / "fleet.xml", junit(reports, missing))
    _write(folder / "fleet.csv", evidence_csv(reports))
    _write(folder / "fleet.html", page(reports, summary, percent, missing))


def fleet_summary(reports: Sequence[dict[str, Any]]) -> Counter[str]:
    """Number of results by status, over all hosts."""
    summary: Counter[str] = Counter()
    for report in reports:
        summary.update(report["summary"])
    return summary


def fleet_score(reports: Sequence[dict[str, Any]], missing: Sequence[str]) -> float | None:
    """As ``score``; None also where a host is missing, or one of them decided nothing."""
    whole = not missing and all(report["score"] is not None for report in reports)
    return score(fleet_summary(reports)) if whole else None


def closing_line(folder: Path, reports: Sequence[dict[str, Any]], missing: Sequence[str]) -> str:
    """What a run ends with: how many hosts, the results by status, the hosts that are missing, and where the page is."""
    summary = fleet_summary(reports)
    counts = ", ".join(f"{summary[status]} {label(status)}" for status in STATUSES if summary[status])
    named = ", ".join(printable(name) for name in missing[:NAMED_MISSING])
    more = f" and {len(missing) - NAMED_MISSING} more" if len(missing) > NAMED_MISSING else ""
    parts = [
        f"{len(reports)} of {len(reports) + len(missing)} hosts checked",
        counts or "no control was evaluated",
        *([f"no results of {named}{more}"] if missing else []),
        f"report: {printable(folder / 'fleet.html')}",
    ]
    return "; ".join(parts)


def junit(reports: Sequence[dict[str, Any]], missing: Sequence[str] = ()) -> str:
    """JUnit: a suite per host, a case per control; what does not apply and what is excepted is skipped with its reason.

    A host without a report is a suite with an error.
    """
    root = ElementTree.Element("testsuites")
    for report in reports:
        summary = report["summary"]
        skipped = sum(summary.get(name, 0) for name in ("not_applicable", "excepted", "not_applied_here"))
        counts = {
            "tests": len(report["controls"]), "failures": summary.get("fail", 0), "errors": summary.get("error", 0), "skipped": skipped,
        }  # fmt: skip
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
                kind = "error" if entry["status"] == "error" else "failure"
                failure = ElementTree.SubElement(case, kind, message=entry["reason"])
                failure.text = "\n".join([entry["title"], *entry["evidence"]])
            elif entry["status"] not in GOOD:
                ElementTree.SubElement(case, "skipped", message=f"{entry['status']}: {entry['reason']}")
    for host in missing:
        suite = ElementTree.SubElement(
            root, "testsuite", name=f"hardening.{host}", tests="1", failures="0", errors="1", skipped="0"
        )
        case = ElementTree.SubElement(suite, "testcase", classname=host, name="reached")
        ElementTree.SubElement(
            case, "error", message="this run has no results of the host; the output of the run says why"
        )
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
    text = printable(text, LINES)
    return FORMULA.sub("'", text)


def _write(path: Path, text: str) -> None:
    """Replace the file in one step: hosts' workers write at once, and a reader never sees half of it.

    What no XML or terminal takes is escaped, wherever it came from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(printable(text, LINES))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
