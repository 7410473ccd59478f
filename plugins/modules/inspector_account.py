#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Amazon Inspector and Systems Manager whether an instance is scanned."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inspector_account
short_description: Ask Amazon Inspector and Systems Manager whether an instance is scanned
version_added: 0.1.0
description:
  - Whether EC2 scanning is enabled for the account, whether Inspector scans the instance, whether its inventory association has run
    lately, and whether the account knows the deep-inspection paths. Changes nothing. Runs on the control node.
  - A question that AWS refuses is answered by the state V(unknown) with the error. Needs C(inspector2:BatchGetAccountStatus),
    C(inspector2:ListCoverage), C(inspector2:GetEc2DeepInspectionConfiguration) and C(ssm:DescribeInstanceAssociationsStatus).
options:
  instance_id:
    description: The instance.
    type: str
    required: true
  paths:
    description: Deep-inspection paths that the account must know.
    type: list
    elements: str
    default: []
  inventory_hours:
    description: How old the inventory may be.
    type: int
    default: 24
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Ask the account
  ecommerce.fleet.inspector_account:
    region: us-east-1
    instance_id: i-0123456789abcdef0
    paths: [/opt/shop]
  delegate_to: localhost
"""

RETURN = r"""
findings:
  description: One entry per question with name, state (ok, missing, unknown) and detail.
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws import inspector
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client, paginate
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import AWS_ERRORS


def answers(name: str, ask: Callable[[], list[inspector.Finding]]) -> list[inspector.Finding]:
    """What a question gives; where AWS refuses it, that it is unknown and why."""
    try:
        return ask()
    except AWS_ERRORS as error:
        return [inspector.finding(name, "unknown", f"could not be asked: {error}")]


def findings(sts: Any, inspector2: Any, ssm: Any, options: dict[str, Any]) -> Iterator[inspector.Finding]:
    instance = options["instance_id"]

    def account() -> list[inspector.Finding]:
        number = sts.get_caller_identity()["Account"]
        answer = inspector2.batch_get_account_status(accountIds=[number])
        if not answer["accounts"]:
            detail = f"Inspector has no answer for account {number}: {answer.get('failedAccounts', [])}"
            return [inspector.finding("account_enabled", "unknown", detail)]
        return [inspector.enabled(entry) for entry in answer["accounts"]]

    def coverage() -> list[inspector.Finding]:
        criteria = {"resourceId": [{"comparison": "EQUALS", "value": instance}]}
        return [
            inspector.coverage(
                paginate(inspector2, "list_coverage", "coveredResources", filterCriteria=criteria), instance
            )
        ]

    def inventory() -> list[inspector.Finding]:
        key = "InstanceAssociationStatusInfos"
        statuses = paginate(ssm, "describe_instance_associations_status", key, InstanceId=instance)
        return [inspector.inventory_age(statuses, datetime.now(UTC), options["inventory_hours"])]

    def paths() -> list[inspector.Finding]:
        known = inspector2.get_ec2_deep_inspection_configuration()
        return list(
            inspector.custom_paths(known.get("packagePaths", []), known.get("orgPackagePaths", []), options["paths"])
        )

    enabled = answers("account_enabled", account)
    yield from enabled
    if any(entry["state"] == "missing" for entry in enabled):
        # Everything else follows from it: one advice is better than four.
        return
    yield from answers("coverage", coverage)
    yield from answers("inventory_association", inventory)
    if options["paths"]:
        yield from answers("account_path", paths)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instance_id": {"type": "str", "required": True},
            "paths": {"type": "list", "elements": "str", "default": []},
            "inventory_hours": {"type": "int", "default": 24},
        },
        supports_check_mode=True,
    )
    sts, inspector2, ssm = (client(module, service) for service in ("sts", "inspector2", "ssm"))
    module.exit_json(changed=False, findings=list(findings(sts, inspector2, ssm, module.params)))


if __name__ == "__main__":
    main()
