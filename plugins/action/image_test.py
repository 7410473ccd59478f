"""Brings the register of controls to the test of an image, and writes the report. Runs on the control node."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.hardening import task
from ..plugin_utils.hardening.register import RegisterError

OPTIONS = {*task.OPTIONS, "report_directory"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.image_test``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        hardening = arguments.pop("hardening", None)
        wanted = None
        if hardening is not None:
            wanted = self._wanted(hardening)
            arguments["audit_program"] = task.program(wanted)
        result: dict[str, Any] = self._execute_module(
            module_name="ecommerce.fleet.image_test", module_args=arguments, task_vars=task_vars
        )
        result.pop("invocation", None)
        answer = result.pop("audit", None)
        if wanted is not None and answer:
            result["controls"] = self._report(
                wanted, Path(hardening["report_directory"]), arguments["image_id"], answer
            )
        return result

    def _wanted(self, hardening: Any) -> task.Task:
        if not isinstance(hardening, dict) or set(hardening) - OPTIONS or not hardening.get("report_directory"):
            raise AnsibleActionFail(
                f"image_test's hardening takes {', '.join(sorted(OPTIONS))} and needs report_directory; see "
                "ansible-doc ecommerce.fleet.image_test. No host was booted."
            )
        try:
            return task.read(hardening)
        except RegisterError as error:
            raise AnsibleActionFail(str(error)) from error

    def _report(self, wanted: task.Task, folder: Path, name: str, answer: dict[str, Any]) -> dict[str, Any]:
        try:
            written = wanted.write_report(folder, name, answer, audit=True)
            path = folder / f"{name}.json"
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the hardening report of {name} to {folder}: {error}") from error
        return {"report": str(path), "sha256": digest, "score": written["score"], "summary": written["summary"]}
