#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
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
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_aws import FleetApi, WaitTimeoutError, wait_for
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_plan import Fleet, PlanError, describe_hosts

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]


def ready(fleet: Fleet) -> bool:
    return len(fleet.hosts) == fleet.desired and all(host.serving for host in fleet.hosts)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={"name": {"type": "str", "required": True}, "wait_seconds": {"type": "int", "default": 300}},
        supports_check_mode=True,
    )
    name = module.params["name"]
    api = FleetApi(module.client("autoscaling"), module.client("elbv2"), name)
    if module.check_mode:
        module.exit_json(changed=False, hosts={})
    try:
        fleet = wait_for(f"all hosts of {name} serve", api.read, ready, module.params["wait_seconds"])
    except WaitTimeoutError as error:
        seen = describe_hosts(error.last.hosts) if isinstance(error.last, Fleet) else str(error.last)
        module.fail_json(msg=f"{name}: not every host serves after {module.params['wait_seconds']} s: {seen}")
    except PlanError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"waiting for {name}")
    module.exit_json(changed=False, hosts={host.instance_id: host.zone for host in fleet.hosts})


if __name__ == "__main__":
    main()
