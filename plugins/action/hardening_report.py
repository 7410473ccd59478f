# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the report of the fleet from the reports of its hosts. Runs on the control node; no host is contacted."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils._hardening import report, task


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.hardening_report``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        folder = Path(self._task.args.get("directory") or "")
        hosts = self._task.args.get("hosts") or []
        if not folder.name:
            raise AnsibleActionFail("hardening_report needs directory: where the hosts' reports are")
        try:
            found = {name: report.previous(folder, name) for name in hosts}
            reports, missing = current(found, task.RUN_BEGAN)
            # Also where there is none: a page of an earlier run would pass for this one's.
            report.write_fleet(folder, reports, missing)
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the fleet's hardening report to {folder}: {error}") from error
        # A report is a record of the run, not a change to the fleet.
        result.update(
            changed=False,
            page=str(folder / "fleet.html"),
            hosts=[item["host"] for item in reports],
            missing=missing,
            msg=report.closing_line(folder, reports, missing),
        )
        return result


def current(
    found: Mapping[str, dict[str, Any] | None], began: datetime.datetime
) -> tuple[list[dict[str, Any]], list[str]]:
    """(the reports of the run that ``began`` then, the names of the hosts without one, sorted).

    ``found``: host → its last report. One of an earlier run never counts: the host may be another one since.
    """
    first = began.replace(microsecond=0)  # as reports write times
    new = {
        name: one
        for name, one in found.items()
        if one is not None and datetime.datetime.fromisoformat(one["when"]) >= first
    }
    return list(new.values()), sorted(set(found) - set(new))
