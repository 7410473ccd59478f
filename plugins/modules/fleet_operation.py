#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin, journal and end a rolling operation over an Auto Scaling group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_operation
short_description: Begin, journal and end a rolling operation over an Auto Scaling group
version_added: 0.1.0
description:
  - C(begin) proves that the fleet keeps serving at every step, plans the steps zone by zone, holds the fleet for this run, writes the
    journal to Parameter Store and suspends AZRebalance. The same unfinished operation is resumed; another one is refused, and so is
    one that another run is busy with.
  - C(mark) notes where a host stands.
  - C(late) plans the hosts that were launched since C(begin), once they serve.
  - C(stop) and C(finish) resume AZRebalance, unless somebody else had suspended it before, close the journal and end the hold.
    C(finish) fails while a host is in Standby, or was not reached.
  - Runs on the control node.
options:
  name:
    description: Name of the Auto Scaling group.
    type: str
    required: true
  state:
    description: What to do.
    type: str
    choices: [begin, mark, late, stop, finish]
    required: true
  journal:
    description: Name of the journal's parameter. The hold on the fleet is the parameter C(lock) below it.
    type: str
    required: true
  holder:
    description: The run that asks, as P(ecommerce.fleet.operator#lookup) returns it.
    type: dict
    required: true
  operation:
    description: What is done, such as C(roll) or C(patch). Required by C(begin).
    type: str
  subject:
    description: What it is done with, such as the version. Required by C(begin).
    type: str
  batch_size:
    description: How many hosts are in Standby at a time, at most.
    type: int
    default: 1
  work_seconds:
    description: How long the work on a host in Standby may take. Part of the worst case that is printed, and of how long the hold lasts.
    type: int
    default: 300
  force:
    description: Begin although another operation did not finish, or somebody else has moved a host to Standby; such a host is taken first.
    type: bool
    default: false
  take_over:
    description: Begin although another run holds the fleet, because it is known to be dead.
    type: bool
    default: false
  instance_id:
    description: The host to C(mark).
    type: str
  host_state:
    description: Where the host stands. V(todo) is one that is to be taken again.
    type: str
    choices: [standby, done, todo]
  reason:
    description: Why the operation stopped.
    type: str
    default: ""
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Plan the roll
  ecommerce.fleet.fleet_operation:
    name: ecommerce-web-prod-al2023
    state: begin
    journal: /fleet/ecommerce-web/prod/al2023/operation
    operation: roll
    subject: "2.4.1"
    holder: "{{ lookup('ecommerce.fleet.operator') }}"
"""

RETURN = r"""
plan:
  description: The plan in lines for a person.
  returned: when O(state=begin) or O(state=late)
  type: list
  elements: str
batches:
  description: Instance ids by step.
  returned: when O(state=begin) or O(state=late)
  type: list
  elements: list
drain_seconds:
  description: How long moving a host to Standby may take at most.
  returned: when O(state=begin) or O(state=late)
  type: int
healthy_seconds:
  description: How long returning a host to service may take at most.
  returned: when O(state=begin) or O(state=late)
  type: int
late_seconds:
  description: How long C(late) waits at most for hosts that are being launched.
  returned: when O(state=begin) or O(state=late)
  type: int
journal:
  description: The journal as it was written.
  returned: success
  type: dict
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import reported
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.api import FleetApi
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.journal import Store
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.lock import Lock
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.operation import begin, late, update


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["begin", "mark", "late", "stop", "finish"]},
            "journal": {"type": "str", "required": True},
            "holder": {"type": "dict", "required": True},
            "operation": {"type": "str"},
            "subject": {"type": "str"},
            "batch_size": {"type": "int", "default": 1},
            "work_seconds": {"type": "int", "default": 300},
            "force": {"type": "bool", "default": False},
            "take_over": {"type": "bool", "default": False},
            "instance_id": {"type": "str"},
            "host_state": {"type": "str", "choices": ["standby", "done", "todo"]},
            "reason": {"type": "str", "default": ""},
        },
        required_if=[
            ("state", "begin", ["operation", "subject"]),
            ("state", "mark", ["instance_id", "host_state"]),
        ],
        supports_check_mode=True,
    )
    options = module.params
    api = FleetApi(client(module, "autoscaling"), client(module, "elbv2"), options["name"])
    ssm = client(module, "ssm")
    store = Store(ssm, options["journal"])
    lock = Lock(ssm, f"{options['journal']}/lock", options["holder"])
    do = {"begin": begin, "late": late}.get(options["state"], update)
    with reported(module, f"{options['state']} of the operation on {options['name']}"):
        result = do(api, store, lock, options, module.check_mode)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
