#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until Systems Manager says that instances are online."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssm_online
short_description: Wait until Systems Manager says that instances are online
version_added: 0.1.0
description:
  - Asks C(DescribeInstanceInformation) until every instance has the ping status C(Online). Changes nothing. Runs on the control node.
  - One call is for a hundred instances, so ask once about all hosts of a batch rather than once a host.
options:
  instance_ids:
    description: The instances.
    type: list
    elements: str
    required: true
  wait_seconds:
    description: Deadline of the wait.
    type: int
    default: 60
  required:
    description: Whether an instance that is not online in time is a failure. Otherwise it is in RV(offline).
    type: bool
    default: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Ask Systems Manager
  ecommerce.fleet.ssm_online:
    region: us-east-1
    instance_ids: [i-0123456789abcdef0]
  delegate_to: localhost
"""

RETURN = r"""
instances:
  description: Agent version by id of the instances that are online.
  returned: success
  type: dict
offline:
  description: What Systems Manager says of each of the other instances, by its id, such as C(ConnectionLost) or C(never registered).
  returned: success
  type: dict
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import UserError, reported
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.run_command import online


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instance_ids": {"type": "list", "elements": "str", "required": True},
            "wait_seconds": {"type": "int", "default": 60},
            "required": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    instance_ids, seconds = module.params["instance_ids"], module.params["wait_seconds"]
    with reported(module, f"asking Systems Manager for {', '.join(instance_ids)}"):
        if not all(instance_ids):
            raise UserError("instance_ids has an empty id: the host can't tell which instance it is.")
        versions, offline = online(client(module, "ssm"), instance_ids, seconds)
        if offline and module.params["required"]:
            states = ", ".join(f"{instance_id} is {state}" for instance_id, state in offline.items())
            advice = "`ssm-cli get-diagnostics` and `systemctl status amazon-ssm-agent`; then run this again."
            raise UserError(f"not online after {seconds} s: {states}. Check on the host: {advice}")
    module.exit_json(changed=False, instances=versions, offline=offline)


if __name__ == "__main__":
    main()
