#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move a host to Standby, drained, or return it to service, and wait until that is so."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_host_state
short_description: Move a host of an Auto Scaling group to Standby or return it to service
version_added: 0.1.0
description:
  - V(standby) moves the host to Standby (the desired capacity is lowered, so that it is not replaced) and waits until every target
    group has drained it.
  - V(in_service) ends Standby and waits until every target group calls the host healthy.
  - V(read) changes nothing and does not wait; it tells whether the host still is a member of the group.
  - Runs on the control node. Nothing changes when the host already is where it should be; the wait happens all the same.
options:
  name:
    description: Name of the Auto Scaling group.
    type: str
    required: true
  instance_id:
    description: The host.
    type: str
    required: true
  state:
    description: Where the host should be, or only where it is.
    type: str
    choices: [in_service, read, standby]
    required: true
  wait_seconds:
    description:
      - Deadline of the wait. By default what the target groups need at the longest (deregistration delay, or health check interval
        times healthy count, twice), and 120 seconds of Auto Scaling's own.
    type: int
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Drain the host
  ecommerce.fleet.fleet_host_state:
    name: ecommerce-web-prod-al2023
    instance_id: "{{ inventory_hostname }}"
    state: standby
  delegate_to: localhost
"""

RETURN = r"""
host:
  description: The host as the group and its target groups see it afterwards.
  returned: success
  type: dict
  sample: {instance_id: i-0123456789abcdef0, zone: us-east-1a, lifecycle: Standby, targets: []}
gone:
  description: Whether the host is no longer a member of the group, or about to leave it.
  returned: when O(state=read)
  type: bool
stands:
  description: Where the host stands, for a message.
  returned: when O(state=read)
  type: str
others:
  description: How many of the other hosts serve, for a message.
  returned: when O(state=read)
  type: str
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import time

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import reported
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.api import FleetApi
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.operation import look_at_host, move_host

DOING = {"standby": "draining", "in_service": "returning to service", "read": "looking at"}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "instance_id": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["in_service", "read", "standby"]},
            "wait_seconds": {"type": "int"},
        },
        supports_check_mode=True,
    )
    name, instance_id, state = (module.params[option] for option in ("name", "instance_id", "state"))
    api = FleetApi(client(module, "autoscaling"), client(module, "elbv2"), name)
    doing = f"{DOING[state]} {instance_id} in {name}"
    start = time.monotonic()
    with reported(module, doing):
        if state == "read":
            module.exit_json(**look_at_host(api, instance_id))
        result = move_host(api, instance_id, state, module.params["wait_seconds"], check_mode=module.check_mode)
    module.exit_json(seconds=round(time.monotonic() - start, 1), **result)


if __name__ == "__main__":
    main()
