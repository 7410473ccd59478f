#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a Systems Manager document on hosts and wait for what became of it on each."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssm_command
short_description: Run a Systems Manager document on hosts and wait for the outcome
version_added: 0.1.0
description:
  - Sends the command and waits until every invocation has ended. Fails with the host, the status and the end of the output unless all
    succeeded. Runs on the control node; always reports a change, since it can't know what the document did.
  - A command of the same document that still runs on one of the hosts is waited for first, such as that of a control node that was lost.
    If it was sent to the same hosts with the same parameters, its outcome is the result and no other command is sent.
  - A command that is out of time is cancelled.
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
    description:
      - Deadline for all invocations.
      - By default as long as the command may take, with delivery and execution as the document says; a reboot in between is part of that.
    type: int
  report:
    description: The document's output ends in a line that is a JSON object, to be returned in RV(reports). Another last line is an error.
    type: bool
    default: false
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
reports:
  description: Per instance id the JSON object that the document printed last, of the hosts that succeeded, also after a failure on others.
  returned: when O(report=true) and the command has ended
  type: dict
unfinished:
  description: >-
    Instance ids of hosts on which something of the command may still be at work, also after a failure: it was given up, cancelled, or its
    end was not seen. Empty if no command was sent.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws import run_command
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import reported

SENT = ("comment", "delivery_seconds", "max_concurrency", "max_errors")


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "document": {"type": "str", "required": True},
            "instance_ids": {"type": "list", "elements": "str", "required": True},
            "parameters": {"type": "dict", "default": {}},
            "comment": {"type": "str", "default": ""},
            "delivery_seconds": {"type": "int", "default": 60},
            "wait_seconds": {"type": "int"},
            "report": {"type": "bool", "default": False},
            "max_concurrency": {"type": "str", "default": "50"},
            "max_errors": {"type": "str", "default": "0"},
        },
        supports_check_mode=True,
    )
    given = module.params
    result: dict[str, Any] = {"changed": module.check_mode, "command_id": "", "invocations": {}, "unfinished": []}
    if module.check_mode:
        module.exit_json(**result)
    ssm = client(module, "ssm")
    with reported(
        module, f"document {given['document']} on {', '.join(given['instance_ids'])}", details=lambda: result
    ):
        run_command.run(
            ssm,
            given["document"],
            given["instance_ids"],
            given["parameters"],
            result,
            wait_seconds=given["wait_seconds"],
            report=given["report"],
            **{option: given[option] for option in SENT},
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
