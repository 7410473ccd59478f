#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Take a host out of service, or put it back, and wait until that is so."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_rotation
short_description: Take a host of an Auto Scaling group out of service or put it back
version_added: 0.1.0
description:
  - C(out) puts the host into Standby (the desired capacity is lowered, so that it is not replaced) and waits until every target
    group has drained it.
  - C(in) ends Standby and waits until every target group calls the host healthy.
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
    description: Where the host should be.
    type: str
    choices: [in, out]
    required: true
  wait_seconds:
    description:
      - Deadline of the wait. By default what the target groups need at the longest (deregistration delay, or health check interval
        times healthy count), and a margin.
    type: int
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Take the host out of service
  ecommerce.fleet.fleet_rotation:
    name: ecommerce-web-prod-al2023
    instance_id: "{{ inventory_hostname }}"
    state: out
  delegate_to: localhost
"""

RETURN = r"""
host:
  description: The host as the group and its target groups see it afterwards.
  returned: success
  type: dict
  sample: {instance_id: i-0123456789abcdef0, zone: us-east-1a, lifecycle: Standby, targets: []}
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import dataclasses
import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_aws import FleetApi, WaitTimeoutError
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_plan import SLACK_SECONDS, Fleet, PlanError

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]


def default_deadline(fleet: Fleet, state: str) -> float:
    """Seconds that the slowest target group may need, and a margin."""
    if state == "out":
        return float(max((g.deregistration_delay for g in fleet.target_groups), default=0) + 2 * SLACK_SECONDS)
    return float(max((g.seconds_to_healthy for g in fleet.target_groups), default=0) + 3 * SLACK_SECONDS)


def rotate(api: FleetApi, instance_id: str, state: str, wait_seconds: float | None, check_mode: bool) -> dict[str, Any]:
    """Move the host if it is not where it should be, then wait. Returns the module's result."""
    fleet = api.read()
    host = fleet.host(instance_id)
    standby = host.lifecycle in ("EnteringStandby", "Standby")
    changed = standby != (state == "out")
    if check_mode:
        return {"changed": changed, "host": dataclasses.asdict(host)}
    if changed:
        (api.take_out if state == "out" else api.put_back)(instance_id)
    wait = api.wait_out if state == "out" else api.wait_serving
    host = wait(instance_id, wait_seconds or default_deadline(fleet, state))
    return {"changed": changed, "host": dataclasses.asdict(host)}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "instance_id": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["in", "out"]},
            "wait_seconds": {"type": "int"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    api = FleetApi(module.client("autoscaling"), module.client("elbv2"), wanted["name"])
    doing = f"taking {wanted['instance_id']} {'out of' if wanted['state'] == 'out' else 'back into'} service in {wanted['name']}"
    start = time.monotonic()
    try:
        result = rotate(api, wanted["instance_id"], wanted["state"], wanted["wait_seconds"], module.check_mode)
    except (PlanError, WaitTimeoutError) as error:
        module.fail_json(msg=f"{doing}: {error}")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=doing)
    module.exit_json(seconds=round(time.monotonic() - start, 1), **result)


if __name__ == "__main__":
    main()
