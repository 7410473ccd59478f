#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Wait until Systems Manager says that instances are online."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssm_online
short_description: Wait until Systems Manager says that instances are online
version_added: 0.1.0
description:
  - Asks C(DescribeInstanceInformation) until every instance has the ping status C(Online). Changes nothing. Runs on the control node.
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
  description: Agent version by instance id.
  returned: success
  type: dict
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_aws import WaitTimeoutError, paginate, wait_for

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]

NEVER = "never registered"


def statuses(client: Any, wanted: list[str]) -> dict[str, dict[str, str]]:
    """What Systems Manager knows of each instance: `ping` and `version`."""
    found = paginate(
        client,
        "describe_instance_information",
        "InstanceInformationList",
        Filters=[{"Key": "InstanceIds", "Values": wanted}],
    )
    known = {
        item["InstanceId"]: {"ping": item["PingStatus"], "version": item.get("AgentVersion", "")} for item in found
    }
    return {instance: known.get(instance, {"ping": NEVER, "version": ""}) for instance in wanted}


def all_online(seen: dict[str, dict[str, str]]) -> bool:
    return all(entry["ping"] == "Online" for entry in seen.values())


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instance_ids": {"type": "list", "elements": "str", "required": True},
            "wait_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    wanted: list[str] = module.params["instance_ids"]
    client = module.client("ssm")
    try:
        seen = wait_for("all online", lambda: statuses(client, wanted), all_online, module.params["wait_seconds"])
    except WaitTimeoutError:
        last = statuses(client, wanted)
        offline = ", ".join(
            f"{instance} is {entry['ping']}" for instance, entry in last.items() if entry["ping"] != "Online"
        )
        module.fail_json(
            msg=f"Systems Manager after {module.params['wait_seconds']} s: {offline or 'online only now'}. Check on the host: "
            "`ssm-cli get-diagnostics` and `systemctl status amazon-ssm-agent`; then run this again."
        )
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"asking Systems Manager for {', '.join(wanted)}")
    module.exit_json(changed=False, instances={instance: entry["version"] for instance, entry in seen.items()})


if __name__ == "__main__":
    main()
