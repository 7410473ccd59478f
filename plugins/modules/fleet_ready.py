#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until an Auto Scaling group has its desired hosts and all of them serve."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_ready
short_description: Wait until every host of an Auto Scaling group serves
version_added: 0.1.0
description:
  - Waits until the group has as many hosts as desired, all InService and healthy in every target group. Changes nothing.
options:
  name:
    description: Name of the Auto Scaling group.
    type: str
    required: true
  wait_seconds:
    description: Deadline of the wait.
    type: int
    default: 300
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Wait for the fleet
  ecommerce.fleet.fleet_ready:
    name: ecommerce-web-prod-al2023
"""

RETURN = r"""
hosts:
  description: Zone by instance id.
  returned: success
  type: dict
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import reported
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.api import FleetApi


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={"name": {"type": "str", "required": True}, "wait_seconds": {"type": "int", "default": 300}},
        supports_check_mode=True,
    )
    name = module.params["name"]
    api = FleetApi(client(module, "autoscaling"), client(module, "elbv2"), name)
    if module.check_mode:
        module.exit_json(changed=False, hosts={})
    with reported(module, f"waiting for {name}"):
        fleet = api.wait_ready(module.params["wait_seconds"])
    module.exit_json(changed=False, hosts={host.instance_id: host.zone for host in fleet.hosts})


if __name__ == "__main__":
    main()
