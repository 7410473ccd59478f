"""Writes the report of the fleet from the reports of its hosts. Runs on the control node; no host is contacted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.hardening import report


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
            reports = [found for name in hosts if (found := report.previous(folder, name)) is not None]
            if reports:
                report.write_fleet(folder, reports)
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the fleet's hardening report to {folder}: {error}") from error
        # A report is a record of the run, not a change to the fleet.
        result.update(changed=False, page=str(folder / "fleet.html"), hosts=[item["host"] for item in reports])
        return result
