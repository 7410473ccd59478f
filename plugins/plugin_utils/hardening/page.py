"""The report as one self-contained HTML page: a row for each control and result, whether of one host or of many. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).with_name("templates")
STATUSES = ("fail", "changed", "excepted", "not_applied_here", "pass", "not_applicable")
"""The worst first."""
NAMED = 40
"""So many hosts are named in a row of the fleet's page; all are in the CSV."""

Entry = dict[str, Any]


def page(reports: Sequence[Entry], summary: dict[str, int], score: float, missing: Sequence[str] = ()) -> str:
    """``reports``: as report.host_report makes them; ``missing``: hosts of the run that have none."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2").render(
        reports=reports,
        parts=parts(rows(reports)),
        changes=changes(reports),
        exceptions=exceptions(reports),
        summary=summary,
        score=score,
        missing=missing,
        statuses=STATUSES,
        named=NAMED,
        sections=sorted({entry["section"] for report in reports for entry in report["controls"]}),
    )


def rows(reports: Sequence[Entry]) -> list[Entry]:
    """A row for each control and result, the worst first: the control, its ``cis`` numbers, the ``hosts`` with that result, since when."""
    found = _together(
        ((report, entry) for report in reports for entry in report["controls"]),
        lambda entry: (entry["id"], entry["status"], entry["reason"]),
    )
    result = []
    for pairs in found:
        first = pairs[0][1]
        numbers = {number for report, _entry in pairs for number in first["cis"].get(report["release"], [])}
        hosts = [report["host"] for report, _entry in pairs]
        since = min(entry["since"] for _report, entry in pairs)
        result.append({**first, "cis": sorted(numbers), "hosts": hosts, "since": since})
    return sorted(result, key=lambda row: STATUSES.index(row["status"]))


def parts(found: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """(title, rows): what does not hold, then every section."""
    failing = [row for row in found if row["status"] == "fail"]
    sections = sorted({row["section"] for row in found})
    by_section = [
        (name, [row for row in found if row["section"] == name and row["status"] != "fail"]) for name in sections
    ]
    return [(title, members) for title, members in [("do not hold", failing), *by_section] if members]


def changes(reports: Sequence[Entry]) -> list[Entry]:
    """What differs from the hosts' last runs, each change once with the ``hosts`` that it happened on and the last run's time."""
    found = _together(
        ((report, change) for report in reports for change in report["since"]["changes"]),
        lambda change: (change["id"], change["before"], change["now"]),
    )
    return [
        {**pairs[0][1], "hosts": [r["host"] for r, _c in pairs], "when": min(r["since"]["when"] for r, _c in pairs)}
        for pairs in found
    ]


def exceptions(reports: Sequence[Entry]) -> list[Entry]:
    """Every exception once, with the ``hosts`` that it holds for; the one that ends first is first."""
    found = _together(
        ((report, exception) for report in reports for exception in report["exceptions"]),
        lambda exception: tuple(exception[name] for name in ("control", "reason", "owner", "expires")),
    )
    result = [{**pairs[0][1], "hosts": [report["host"] for report, _e in pairs]} for pairs in found]
    return sorted(result, key=lambda exception: exception["expires"])


def _together(
    pairs: Iterable[tuple[Entry, Entry]], key: Callable[[Entry], tuple[Any, ...]]
) -> list[list[tuple[Entry, Entry]]]:
    """The (report, item) pairs whose items have the same key, in the order in which the keys first came."""
    found: dict[tuple[Any, ...], list[tuple[Entry, Entry]]] = {}
    for report, item in pairs:
        found.setdefault(key(item), []).append((report, item))
    return list(found.values())
