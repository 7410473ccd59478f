"""Brings the register to the host: checks it with the exceptions, runs the module, writes the host's report. Runs on the control node."""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils.hardening.resources.firewall import CONFIRM, UNDO_SECONDS
from ..plugin_utils.hardening import report, selection
from ..plugin_utils.hardening.register import Control, RegisterError, load

REGISTER = Path(__file__).resolve().parents[2] / "controls"
OWN = ("level", "exceptions", "overrides", "register_directories", "report_directory")
PASSED_ON = ("in_use", "audit_fails")


@functools.cache
def own_register() -> list[Control]:
    """The collection's own register."""
    return load([REGISTER])


with contextlib.suppress(RegisterError):  # said when a task needs it
    # Read once in Ansible's main process: the workers that it forks, one for each host, have it then.
    own_register()


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.hardening``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        unknown = sorted(set(arguments) - set(OWN) - set(PASSED_ON))
        if unknown:
            raise AnsibleActionFail(
                f"hardening has no option {', '.join(unknown)}; see ansible-doc ecommerce.fleet.hardening"
            )
        try:
            chosen, exempt = self._choose(arguments)
        except RegisterError as error:
            raise AnsibleActionFail(str(error)) from error
        overrides = arguments.get("overrides") or {}
        result: dict[str, Any] = self._execute_module(
            module_name="ecommerce.fleet.hardening",
            module_args={
                **{name: arguments[name] for name in PASSED_ON if name in arguments},
                "controls": [control.for_host(overrides.get(control.id, {})) for control in chosen],
                "excepted": {exemption.control: exemption.shown for exemption in exempt},
            },
            task_vars=task_vars,
        )
        result.pop("invocation", None)
        if result.pop("unproven", False) and (problem := self._confirm()) is not None:
            _take_back(result, {control.id for control in chosen if control.type == "firewall"}, problem)
        folder = arguments.get("report_directory")
        if folder and "results" in result:
            written = self._report(
                Path(folder), chosen, exempt, result, (task_vars or {}).get("inventory_hostname", "host")
            )
            if result.get("failed"):
                result["msg"] = report.drift_message(written)
        if result.get("failed") and "results" in result:
            # What Ansible prints of a failure should be what failed.
            result["results"] = [item for item in result["results"] if item["status"] == "fail"]
        return result

    def _confirm(self) -> str | None:
        """Keep the packet filter that was loaded, over a connection opened after that; what speaks against it, None if it holds."""
        if self._connection.transport != "local":
            self._connection.reset()
        try:
            done = self._low_level_execute_command(CONFIRM)
        except AnsibleConnectionFailure as error:
            return f"no new connection opens through it: {error}"
        return "no new connection came through it in time" if done["rc"] != 0 else None

    def _choose(self, arguments: dict[str, Any]) -> tuple[list[Control], list[selection.Exemption]]:
        more = [Path(path) for path in arguments.get("register_directories") or []]
        controls = load([REGISTER, *more]) if more else own_register()
        selection.check_in_use(arguments.get("in_use") or {})
        selection.check_overrides(arguments.get("overrides") or {}, controls)
        known = {control.id for control in controls}
        today = datetime.datetime.now(tz=datetime.UTC).date()
        exempt = selection.exemptions(arguments.get("exceptions") or [], known, today)
        return selection.selected(controls, int(arguments.get("level", 1))), exempt

    def _report(
        self, folder: Path, chosen: list[Control], exempt: list[selection.Exemption], result: dict[str, Any], name: str
    ) -> dict[str, Any]:
        now = datetime.datetime.now(tz=datetime.UTC)
        facts = report.HostFacts(
            host=name,
            when=now,
            audit=self._task.check_mode,
            release=result["release"],
            container=result["container"],
            used=result["used"],
        )
        written = report.host_report(facts, chosen, exempt, result["results"], report.previous(folder, name))
        try:
            report.write_host(folder, written)
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the hardening report of {name} to {folder}: {error}") from error
        return written


def _take_back(result: dict[str, Any], controls: set[str], problem: str) -> None:
    """The host undoes the packet filter by itself: these controls do not hold."""
    reason = f"undone {UNDO_SECONDS} s after it was loaded, because {problem}; correct hardening_in_use.ports"
    for item in result["results"]:
        if item["id"] in controls and item["status"] in report.GOOD:
            item.update(status="fail", reason=reason)
    result["summary"] = dict(Counter(item["status"] for item in result["results"]))
    result.update(failed=True, msg=f"The packet filter is {reason}.")
