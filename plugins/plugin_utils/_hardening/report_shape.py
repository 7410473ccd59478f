# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a report that was written before, by another version or by hand perhaps, has what pages and tables are made of. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from .page import STATUSES

Shape = Mapping[str, type | tuple[type, ...]]

REPORT: Shape = {
    "host": str, "when": str, "release": str, "container": bool, "audit": bool, "summary": dict, "score": (int, float, type(None)),
    "used": dict, "exceptions": list, "controls": list, "since": dict,
}  # fmt: skip
CONTROL: Shape = {
    "id": str, "title": str, "section": str, "level": int, "severity": str, "rationale": str, "cis": dict, "maps": dict, "status": str,
    "reason": str, "evidence": list, "since": str,
}  # fmt: skip
EXCEPTION: Shape = {"control": str, "reason": str, "owner": str, "expires": str, "days_left": int}
CHANGE: Shape = {"id": str, "title": str, "before": str, "now": str}


def is_report(found: Any, host: str) -> bool:
    """Whether it is a report of that host, whole."""
    return (
        _has(found, REPORT)
        and found["host"] == host
        and _is_time(found["when"])
        and all(isinstance(count, int) for count in found["summary"].values())
        and all(_has(entry, CONTROL) and _is_result(entry) for entry in found["controls"])
        and all(_has(entry, EXCEPTION) for entry in found["exceptions"])
        and isinstance(found["since"].get("changes"), list)
        and all(_has(change, CHANGE) for change in found["since"]["changes"])
        and (isinstance(found["since"].get("when"), str) or not found["since"]["changes"])
    )


def _has(found: Any, shape: Shape) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(name), kinds) for name, kinds in shape.items())


def _is_result(entry: dict[str, Any]) -> bool:
    lists = [entry["evidence"], *entry["cis"].values(), *entry["maps"].values()]
    return entry["status"] in STATUSES and all(
        isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists
    )


def _is_time(text: str) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
