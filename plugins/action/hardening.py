# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the register to the host: checks it with the exceptions, runs the module, writes the host's report. Runs on the control node."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils._hardening.engine import OPEN
from ..module_utils._hardening.resources.firewall import CONFIRM, UNDO_SECONDS
from ..plugin_utils._hardening import report, task
from ..plugin_utils._hardening.register import RegisterError

OWN = ("audit_fails", "report_directory")


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.hardening``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        unknown = sorted(set(arguments) - set(OWN) - set(task.OPTIONS))
        if unknown:
            raise AnsibleActionFail(
                f"hardening has no option {', '.join(unknown)}; see ansible-doc ecommerce.fleet.hardening"
            )
        try:
            chosen = task.read(arguments)
        except RegisterError as error:
            raise AnsibleActionFail(str(error)) from error
        result: dict[str, Any] = self._execute_module(
            module_name="ecommerce.fleet.hardening",
            module_args={
                "task": json.dumps(chosen.for_engine()),
                "audit_fails": arguments.get("audit_fails", False),
            },
            task_vars=task_vars,
        )
        result.pop("invocation", None)
        if "answers" in result:
            result["results"] = json.loads(result.pop("answers"))
        if result.pop("unproven", False) and (problem := self._confirm()) is not None:
            _undone(result, {control.id for control in chosen.controls if control.type == "firewall"}, problem)
        folder = arguments.get("report_directory")
        if folder and "results" in result:
            written = self._report(Path(folder), chosen, result, (task_vars or {}).get("inventory_hostname", "host"))
            if result.get("failed"):
                result["msg"] = report.drift_message(written)
        if result.get("failed") and "results" in result:
            # What Ansible prints of a failure should be what failed.
            result["results"] = [item for item in result["results"] if item["status"] in OPEN]
        return result

    def _confirm(self) -> str | None:
        """Keep the packet filter that was loaded, over a connection opened after that; what speaks against it, None if nothing does."""
        if self._connection.transport != "local":
            self._connection.reset()
        try:
            done = self._low_level_execute_command(CONFIRM)
        except AnsibleConnectionFailure as error:
            return f"no new connection opens through it: {error}"
        return "no new connection came through it in time" if done["rc"] != 0 else None

    def _report(self, folder: Path, chosen: task.Task, result: dict[str, Any], name: str) -> dict[str, Any]:
        try:
            return chosen.write_report(folder, name, result, audit=self._task.check_mode)
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the hardening report of {name} to {folder}: {error}") from error


def _undone(result: dict[str, Any], controls: set[str], problem: str) -> None:
    """The host undoes the packet filter by itself: these controls fail."""
    reason = f"undone {UNDO_SECONDS} s after it was loaded, because {problem}; correct hardening_in_use.ports"
    for item in result["results"]:
        if item["id"] in controls and item["status"] in report.GOOD:
            item.update(status="fail", reason=reason)
    result["summary"] = dict(Counter(item["status"] for item in result["results"]))
    result.update(failed=True, msg=f"The packet filter is {reason}.")
