# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one self-contained HTML page: a row for each control and result, whether of one host or of many. Pure."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from .naming import stem

TEMPLATES = Path(__file__).with_name("templates")
STATUSES = ("fail", "error", "changed", "excepted", "not_applied_here", "pass", "not_applicable")
"""In the order of a page, the worst first."""
FIRST = {"fail": "non-compliant", "error": "could not be checked"}
LABELS = {"error": "could not be checked"}
NAMED = 40
"""So many hosts are named in a row of the fleet's page; all are in the CSV."""

Entry = dict[str, Any]


def page(reports: Sequence[Entry], summary: dict[str, int], score: float | None, missing: Sequence[str] = ()) -> str:
    """``reports``: as report.host_report makes them; ``missing``: hosts of the run that have none."""
    return _template().render(
        reports=reports,
        hosts=sorted(reports, key=lambda report: -1 if report["score"] is None else report["score"]),
        stem=stem,
        label=label,
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


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2")


def rows(reports: Sequence[Entry]) -> list[Entry]:
    """A row for each control and result, the worst first.

    The control, its ``cis`` numbers, the ``hosts`` with that result, since when, and its ``anchor``.
    """
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
    result.sort(key=lambda row: STATUSES.index(row["status"]))
    return _anchored(result)


def _anchored(found: list[Entry]) -> list[Entry]:
    """The rows with an ``anchor`` each for addresses: the control's id, with a number at its later rows."""
    seen: Counter[str] = Counter()
    for row in found:
        seen[row["id"]] += 1
        row["anchor"] = row["id"] if seen[row["id"]] == 1 else f"{row['id']}.{seen[row['id']]}"
    return found


def parts(found: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """(title, rows): what is non-compliant, what could not be checked, then every section."""
    first = [(title, [row for row in found if row["status"] == status]) for status, title in FIRST.items()]
    sections = sorted({row["section"] for row in found})
    by_section = [
        (name, [row for row in found if row["section"] == name and row["status"] not in FIRST]) for name in sections
    ]
    return [(title, members) for title, members in [*first, *by_section] if members]


def label(status: str) -> str:
    """A status for people."""
    return LABELS.get(status, status.replace("_", " "))


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
    """Every exception once, with the ``hosts`` that it applies to; the one that ends first is first."""
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
