# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the host and the role's variables, and installs the role's packages. Contacts the host only for what is not known or missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils import role_rules
from ..plugin_utils._inputs import role_inputs
from ..plugin_utils._inputs.evaluation import decrypted

ARGUMENTS = {"packages": {"type": "list", "elements": "str", "default": []}, "version": {"type": "str"}}

RUN = "seen_in_run"
"""The fact that says in which run the others were seen: a cache of facts keeps those of earlier runs, and a host changes in between."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.role_begin``."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        if "role_name" not in variables:
            raise AnsibleActionFail("role_begin is the first task of a role; outside of one it has nothing to check.")
        role = variables["role_name"].rpartition(".")[2]
        facts = variables.get("ansible_facts", {})
        self._validate(role, facts, variables)
        if facts.get(RUN) != constants.DEFAULT_LOCAL_TMP:
            facts = result["ansible_facts"] = self._look()
        missing = role_rules.missing(arguments["packages"], arguments["version"] or "", facts["package_versions"])
        if missing:
            result |= self._install(role, missing, arguments["version"], variables)
            if result.get("changed") and not self._task.check_mode:
                result["ansible_facts"] = self._look()
        return result

    def _validate(self, role: str, facts: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        unsupported = role_rules.unsupported(facts)
        violations = [unsupported] if unsupported else self._violations(role, facts, variables)
        if violations:
            host = variables["inventory_hostname"]
            raise AnsibleActionFail(f"{role} on {host}: {' '.join(violations)} Nothing was changed.")

    def _violations(self, role: str, facts: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
        """Of the role's argument specs; where those hold, of its rules."""
        given = {
            name: decrypted(self._templar.template(variables[name]))
            for name in role_inputs.options(role)
            if name in variables
        }
        return role_inputs.role_violations(role, given, facts["distribution_version"])

    def _look(self) -> dict[str, Any]:
        """The host's packages and accounts, once its first boot is over. The directory for temporary files is another one in each run."""
        listed = self._low_level_execute_command(role_rules.LOOK)
        if listed["rc"] != 0:
            raise AnsibleActionFail(role_rules.list_error(listed["rc"], listed["stderr"] or listed["stdout"]))
        return {**role_rules.looked(listed["stdout"]), RUN: constants.DEFAULT_LOCAL_TMP}

    def _install(self, role: str, missing: list[str], version: str | None, variables: dict[str, Any]) -> dict[str, Any]:
        """Through Ansible's own package action; only `changed`, `failed` and `msg` of its result."""
        task = self._task.copy()
        # A newer one would be left as it is, and the run would call that a success.
        task.args = {"name": missing, "state": "present", "allow_downgrade": bool(version)}
        package = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.package", task=task, connection=self._connection, play_context=self._play_context,
            loader=self._loader, templar=self._templar, shared_loader_obj=self._shared_loader_obj,
        )  # fmt: skip
        done = package.run(task_vars=variables)
        if done.get("failed"):
            output = [str(done.get("msg", "")), *map(str, done.get("failures", []))]
            return {"failed": True, "msg": role_rules.install_error(role, missing, version, output)}
        return {"changed": done.get("changed", False)}
