# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the inventory with the Auto Scaling group, in Ansible's own process, which has loaded the AWS library for its inventory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils._aws.errors import AWS_ERRORS
from ..module_utils._fleet.api import missing_group
from ..plugin_utils._inputs import inventory

ARGUMENTS = {
    "region": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "role": {"type": "str", "default": "web"},
    "group_needed": {"type": "bool", "default": False},
    "hosts_needed": {"type": "bool", "default": False},
}
EC2_SOURCES = "*aws_ec2.y*ml"
"""The files of an inventory's directory that amazon.aws.aws_ec2 reads."""
RUNNING = ("InService", "Standby")
"""Lifecycle states of hosts that are neither being launched nor ended."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action behind ``ecommerce.fleet.check_inventory``."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        found = inventory.unread(_sources(variables), _read_sources(variables))
        members: list[dict[str, Any]] = []
        if not found and (arguments["group_needed"] or arguments["hosts_needed"]):
            try:
                members, missing = instances(arguments["region"], arguments["name"])
            except AWS_ERRORS as error:
                doing = f"Reading Auto Scaling group {arguments['name']} in {arguments['region']}"
                return result | {"failed": True, "msg": f"{doing}: {error}. Nothing was changed."}
            read = _inventory(variables)
            if arguments["hosts_needed"]:
                found = inventory.violations(read, arguments["role"], arguments["name"], members)
            if missing and (arguments["group_needed"] or not read.web):
                found.append(f"In {arguments['region']}, {missing}")
        if found:
            result |= {"failed": True, "msg": f"{' '.join(found)} Nothing was changed."}
        there = sorted(member["InstanceId"] for member in members if member["LifecycleState"] in RUNNING)
        return result | {"hosts": sorted(variables["groups"].get("web", [])), "members": there}


def _sources(variables: Mapping[str, Any]) -> list[str]:
    """The files that the run was given as inventory; of a directory, those that ask EC2."""
    given = [Path(source) for source in variables.get("ansible_inventory_sources") or [] if "," not in source]
    return [
        str(file) for source in given for file in (sorted(source.glob(EC2_SOURCES)) if source.is_dir() else [source])
    ]


def _read_sources(variables: Mapping[str, Any]) -> list[str] | None:
    """Those that Ansible could read. It keeps the list to itself; None where it keeps none."""
    manager = getattr(variables["hostvars"], "_inventory", None)
    return getattr(getattr(manager, "_inventory", None), "processed_sources", None)


def instances(region: str, name: str) -> tuple[list[dict[str, Any]], str]:
    """The group's instances as DescribeAutoScalingGroups has them; a sentence where there is no such group. Raises botocore's errors."""
    # Imported here: Ansible loads every action plugin of a playbook, also where it needs no AWS library.
    import boto3  # noqa: PLC0415

    make: Any = boto3.client
    client = make("autoscaling", region_name=region)
    found = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return [instance for group in found for instance in group["Instances"]], "" if found else missing_group(
        client, name
    )


def _inventory(variables: Mapping[str, Any]) -> inventory.Inventory:
    groups, hostvars = variables["groups"], variables["hostvars"]
    tags = {host: found for host in groups["all"] if isinstance(found := hostvars.raw_get(host).get("tags"), dict)}
    return inventory.Inventory(
        tags=tags,
        web=frozenset(groups.get("web", [])),
        chosen=frozenset(variables["ansible_play_hosts_all"]),
        limit=variables.get("ansible_limit"),
    )
