# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the scripts and the register of controls to the test of an image, and writes the report. Runs on the control node."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._image.scripts import NAMES
from ..plugin_utils._hardening import task
from ..plugin_utils._hardening.register import RegisterError

OPTIONS = {*task.OPTIONS, "report_directory"}
SCRIPTS = task.COLLECTION / "ssm/scripts"


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.image_test``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments["scripts"] = {name: (SCRIPTS / f"{name}.sh").read_text() for name in NAMES}
        hardening = arguments.get("hardening")
        selected = self._selected(hardening) if hardening is not None else None
        if selected:
            arguments["audit_program"] = task.program(selected)
        result: dict[str, Any] = self._execute_module(
            module_name="ecommerce.fleet.image_test", module_args=arguments, task_vars=task_vars
        )
        result.pop("invocation", None)
        answer = result.pop("audit", None)
        if selected and hardening and answer:
            folder = Path(hardening["report_directory"])
            result["controls"] = self._report(selected, folder, arguments["image_id"], answer)
        return result

    def _selected(self, hardening: Any) -> task.Task:
        """The controls that the option asks for; a wrong one is refused before a host is booted."""
        if not isinstance(hardening, dict) or set(hardening) - OPTIONS or not hardening.get("report_directory"):
            raise AnsibleActionFail(
                f"image_test's hardening takes {', '.join(sorted(OPTIONS))} and needs report_directory; see "
                "ansible-doc ecommerce.fleet.image_test. No host was booted."
            )
        try:
            return task.read(hardening)
        except RegisterError as error:
            raise AnsibleActionFail(str(error)) from error

    def _report(self, selected: task.Task, folder: Path, name: str, answer: dict[str, Any]) -> dict[str, Any]:
        try:
            written = selected.write_report(folder, name, answer, audit=True)
            path = folder / f"{name}.json"
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the hardening report of {name} to {folder}: {error}") from error
        return {"report": str(path), "sha256": digest, "score": written["score"], "summary": written["summary"]}
