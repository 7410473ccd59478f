"""Writes the report of the fleet from the reports of its hosts. Runs on the control node; no host is contacted."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.hardening import report

ONE_RUN = datetime.timedelta(hours=1)
"""A report older than this is of an earlier run."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.hardening_report``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        now = datetime.datetime.now(tz=datetime.UTC)
        folder = Path(self._task.args.get("directory") or "")
        hosts = self._task.args.get("hosts") or []
        if not folder.name:
            raise AnsibleActionFail("hardening_report needs directory: where the hosts' reports are")
        try:
            found = {name: report.previous(folder, name) for name in hosts}
            reports, missing = current([one for one in found.values() if one is not None], now)
            missing += [name for name, one in found.items() if one is None]
            if reports:
                report.write_fleet(folder, reports, sorted(missing))
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the fleet's hardening report to {folder}: {error}") from error
        # A report is a record of the run, not a change to the fleet.
        result.update(
            changed=False, page=str(folder / "fleet.html"), hosts=[item["host"] for item in reports], missing=missing
        )
        return result


def current(reports: list[dict[str, Any]], now: datetime.datetime) -> tuple[list[dict[str, Any]], list[str]]:
    """(the reports of this run, the names of the hosts whose report is of an earlier one: they were not reached)."""
    when = {item["host"]: datetime.datetime.fromisoformat(item["when"]) for item in reports}
    late = [host for host, time in when.items() if now - time > ONE_RUN]
    return [item for item in reports if item["host"] not in late], late
