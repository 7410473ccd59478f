#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Run a Systems Manager document on hosts and wait for what became of it on each."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssm_command
short_description: Run a Systems Manager document on hosts and wait for the outcome
version_added: 0.1.0
description:
  - Sends the command and waits until every invocation has ended. Fails with the host, the status and the end of the output unless all
    succeeded. Runs on the control node; always reports a change, since it can't know what the document did.
options:
  document:
    description: Name of the document.
    type: str
    required: true
  instance_ids:
    description: The hosts, at most 50 (the limit of the API).
    type: list
    elements: str
    required: true
  parameters:
    description: Parameters of the document; every value is a list of strings.
    type: dict
    default: {}
  comment:
    description: Shown in the console beside the command.
    type: str
    default: ""
  delivery_seconds:
    description: How long a host's agent may take to fetch the command. The API takes no less than 30.
    type: int
    default: 60
  wait_seconds:
    description: Deadline for all invocations.
    type: int
    default: 900
  max_concurrency:
    description: How many hosts run it at once; a number or a percentage.
    type: str
    default: "50"
  max_errors:
    description: After how many failed hosts no further one starts; a number or a percentage.
    type: str
    default: "0"
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Patch one host
  ecommerce.fleet.ssm_command:
    document: fleet-patch-host
    instance_ids: [i-0123456789abcdef0]
    parameters: {RebootOption: [RebootIfNeeded]}
"""

RETURN = r"""
command_id:
  description: Id of the command.
  returned: always
  type: str
invocations:
  description: Per instance id the status, response code, standard output and error.
  returned: always
  type: dict
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_aws import WaitTimeoutError, paginate, wait_for

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]

# Statuses that change no more (Systems Manager API Reference, CommandInvocation). "Delivery Timed Out" and the like are details of these.
ENDED = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})
TAIL_CHARACTERS = 1500


def send(ssm: Any, wanted: dict[str, Any]) -> str:
    answer = ssm.send_command(
        DocumentName=wanted["document"],
        InstanceIds=wanted["instance_ids"],
        Parameters=wanted["parameters"],
        Comment=wanted["comment"][:100],
        TimeoutSeconds=wanted["delivery_seconds"],
        MaxConcurrency=wanted["max_concurrency"],
        MaxErrors=wanted["max_errors"],
    )
    return str(answer["Command"]["CommandId"])


def statuses(ssm: Any, command_id: str) -> dict[str, str]:
    """Instance id → status of its invocation."""
    listed = paginate(ssm, "list_command_invocations", "CommandInvocations", CommandId=command_id)
    return {item["InstanceId"]: item["Status"] for item in listed}


def outcome(ssm: Any, command_id: str, instance_id: str) -> dict[str, Any]:
    """Status and output of one host. A document of several steps has one output a step, so they are read step by step."""
    listed = paginate(
        ssm,
        "list_command_invocations",
        "CommandInvocations",
        CommandId=command_id,
        InstanceId=instance_id,
        Details=True,
    )
    steps = [p["Name"] for p in listed[0]["CommandPlugins"]] if listed else []
    read = [ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id, PluginName=step) for step in steps]
    if not read:
        read = [ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)]
    return {
        "status": listed[0]["Status"] if listed else read[0]["Status"],
        "details": listed[0]["StatusDetails"] if listed else read[0]["StatusDetails"],
        "steps": [
            {
                "name": step["PluginName"],
                "status": step["Status"],
                "response_code": step["ResponseCode"],
                "stdout": step["StandardOutputContent"],
                "stderr": step["StandardErrorContent"],
            }
            for step in read
        ],
    }


def failures(invocations: dict[str, dict[str, Any]]) -> list[str]:
    """One line a host that did not succeed: the first step that failed with the end of what it printed."""
    lines = []
    for instance_id, result in sorted(invocations.items()):
        if result["status"] == "Success":
            continue
        bad = next((s for s in result["steps"] if s["status"] not in ("Success", "Pending", "InProgress")), None)
        said = (bad["stderr"].strip() or bad["stdout"].strip())[-TAIL_CHARACTERS:] if bad else "no output"
        where = f" in step {bad['name']} (exit code {bad['response_code']})" if bad else ""
        lines.append(f"{instance_id}: {result['details']}{where}: {said}")
    return lines


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "document": {"type": "str", "required": True},
            "instance_ids": {"type": "list", "elements": "str", "required": True},
            "parameters": {"type": "dict", "default": {}},
            "comment": {"type": "str", "default": ""},
            "delivery_seconds": {"type": "int", "default": 60},
            "wait_seconds": {"type": "int", "default": 900},
            "max_concurrency": {"type": "str", "default": "50"},
            "max_errors": {"type": "str", "default": "0"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    if module.check_mode:
        module.exit_json(changed=True, command_id="", invocations={})
    ssm = module.client("ssm")
    doing = f"document {wanted['document']} on {', '.join(wanted['instance_ids'])}"
    command_id = ""
    try:
        command_id = send(ssm, wanted)
        wait_for(
            f"command {command_id} ended",
            lambda: statuses(ssm, command_id),
            lambda seen: len(seen) == len(wanted["instance_ids"]) and all(s in ENDED for s in seen.values()),
            wanted["wait_seconds"],
        )
        invocations = {i: outcome(ssm, command_id, i) for i in wanted["instance_ids"]}
    except WaitTimeoutError as error:
        module.fail_json(msg=f"{doing}: {error}", command_id=command_id, invocations={})
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=doing)
    bad = failures(invocations)
    if bad:
        module.fail_json(
            msg=f"{doing}: " + "; ".join(bad), changed=True, command_id=command_id, invocations=invocations
        )
    module.exit_json(changed=True, command_id=command_id, invocations=invocations)


if __name__ == "__main__":
    main()
