# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks every input of a run on the control node, before anything is changed. Contacts neither a host nor AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils._inputs import evaluation, fleet_rules, names, playbook, role_inputs

ARGUMENTS = {"playbook": {"type": "str", "required": True}}


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.check_inputs``."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        read = playbook.read(arguments["playbook"], lambda file: evaluation.load_yaml(self._loader, file))
        found = read.command_violations(
            variables.get("ansible_limit"), list(variables["ansible_run_tags"]), list(variables["ansible_skip_tags"])
        )
        regions = _regions()
        hosts = self._different(variables, variables["groups"].get("web", []) if read.roles else [])
        for number, (host, own) in enumerate(hosts):
            sentences = self._violations(read, own, regions)
            found += [f"On {host}: {text}" if number else text for text in sentences if text not in found]
        if found:
            result |= {"failed": True, "msg": f"ecommerce.fleet.{read.name}: {' '.join(found)} Nothing was changed."}
        return result | {"roles": sorted({use.role for use in read.roles})}

    def _different(self, variables: Mapping[str, Any], web: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """One host for each set of values that the web hosts and localhost have, with its variables."""
        hostvars = variables["hostvars"]
        prefixes = ("fleet_", *(f"{role}_" for role in names.roles()))
        seen: list[tuple[dict[str, Any], Any]] = []
        for host in (*web, "localhost"):
            raw = hostvars.raw_get(host)
            own = {name: value for name, value in raw.items() if name.startswith(prefixes)}
            system = (raw.get("tags") or {}).get("OS")
            if not any(own == values and system in (None, other) for values, other in seen):
                seen.append((own, system))
                yield host, {**raw, "hostvars": hostvars, "groups": variables["groups"]}

    def _violations(self, read: playbook.Playbook, variables: Mapping[str, Any], regions: frozenset[str]) -> list[str]:
        """Of one set of variables."""
        evaluated = evaluation.Evaluation(self._loader, variables)
        specified = fleet_rules.specification()
        given, later, found = evaluated.values(specified)
        own_variables = given.get("fleet_own_variables") or []
        found += names.unknown(variables, specified, own_variables if isinstance(own_variables, list) else [])
        found += fleet_rules.violations(playbook.used(read.name) - later, given, regions)
        return found + role_inputs.violations(read, self._loader, variables, given)


def _regions() -> frozenset[str]:
    """The regions that the AWS library knows; none where there is no library."""
    try:
        # Imported here: Ansible loads every action plugin of a playbook, also where it needs no AWS library.
        from botocore.session import get_session  # noqa: PLC0415
    except ImportError:
        return frozenset()
    session = get_session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("sts", partition)
    )
