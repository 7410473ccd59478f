#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot a host from an image, look at it, and end it again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_test
short_description: Boot a host from an image, look at it, and end it again
version_added: 0.1.0
description:
  - Checks the description of the image (available, IMDSv2, encrypted with the given key), boots a host from it without any SSH key, asks
    the host through Systems Manager (no port has to be open) whether it serves and is clean, and terminates it whatever happens.
  - With O(hardening), every control of the register is evaluated on the host too, by the same engine as everywhere and without changing
    anything; one that fails there fails the image.
  - A host that an earlier, killed run left behind is terminated first; each also ends itself after O(lifetime_seconds).
  - In check mode only the description is checked.
options:
  image_id:
    description: The image.
    type: str
    required: true
  expected_version:
    description: The version that must be answered under O(version_path); empty for any.
    type: str
    default: ""
  image_version:
    description:
      - The release in the image. Where the host must answer with another one, O(expected_version), it fetches that when it boots, and its
        files in O(application_directory) may differ from the AIDE database.
    type: str
    default: ""
    version_added: 0.2.0
  application_directory:
    description: Where the application's releases are on the host.
    type: str
    default: /opt/app
    version_added: 0.2.0
  version_path:
    description: Path under which the application answers its version, as JSON.
    type: str
    default: /version
  kms_key:
    description: The key (alias, id or ARN) of this region that the image must be encrypted with.
    type: str
    required: true
  vpc_name:
    description: Tag C(Name) of the VPC to boot in.
    type: str
    required: true
  subnet_filters:
    description: Filters of the subnet to boot in.
    type: dict
    required: true
  security_group:
    description: Name of the security group.
    type: str
    required: true
  instance_profile:
    description: Name of the instance profile; it must allow Systems Manager.
    type: str
    required: true
  instance_type:
    description: Type of the host.
    type: str
    default: t3.medium
  host_tags:
    description: Tags of the host and its volume.
    type: dict
    default: {}
  login_user:
    description:
      - The user that a key is pushed for by EC2 Instance Connect, and that logs in by it over loopback, where Session Manager connects as
        well. Empty leaves it out.
      - Whoever runs this needs C(ec2-instance-connect:SendSSHPublicKey) for it.
    type: str
    default: ec2-user
    version_added: 0.2.0
  wait_seconds:
    description: Deadline for each of boot, agent, health and end.
    type: int
    default: 300
  read_seconds:
    description:
      - Deadline for each of the two scripts that read most of the volume. One compares its files with the AIDE database, the other
        evaluates the controls.
      - A new volume's blocks come from S3 when they are read first ("Initialize Amazon EBS volumes"), so this takes minutes on AWS.
    type: int
    default: 1200
  lifetime_seconds:
    description:
      - After this time the host powers itself off and is terminated, in case nobody else does it.
      - At least twice the sum of O(wait_seconds) and O(read_seconds), so that it does not end in the middle of a test.
    type: int
    default: 3600
  hardening:
    description: Which controls must pass, as in M(ecommerce.fleet.hardening), and where the report goes. Without it none are evaluated.
    type: dict
    suboptions:
      level:
        description: Controls up to this CIS level are evaluated.
        type: int
        choices: [1, 2]
        default: 1
      in_use:
        description: What the roles of the host rely on.
        type: dict
        default: {}
      exceptions:
        description: Controls that need not pass.
        type: list
        elements: dict
        default: []
      overrides:
        description: Control id to the part of its C(state) that differs.
        type: dict
        default: {}
      register_directories:
        description: Directories on the control node with more controls.
        type: list
        elements: path
        default: []
      report_directory:
        description: Directory on the control node for the report, under the image's id.
        type: path
        required: true
  audit_program:
    description: The hardening engine with its controls; set by the action plugin.
    type: str
    default: ""
  scripts:
    description: What the host runs, from C(ssm/scripts); set by the action plugin.
    type: dict
    default: {}
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Test the image
  ecommerce.fleet.image_test:
    region: us-west-2
    image_id: ami-0123456789abcdef0
    expected_version: 2.4.1
    kms_key: alias/fleet-ebs
    vpc_name: fleet
    subnet_filters: {"tag:Tier": app}
    security_group: web
    instance_profile: fleet-web
    hardening:
      in_use: {ports: [22, 80], services: [nginx], users: [ec2-user], mounts: []}
      report_directory: build/hardening/images
"""

RETURN = r"""
checks:
  description: Every check with C(name), C(ok) and what was C(seen).
  returned: always
  type: list
  elements: dict
report:
  description: What the probe saw on the host, per key a list of values. Empty in check mode.
  returned: always
  type: dict
controls:
  description:
    - What the controls came to on the host. C(report) is the path of the JSON report on the control node, C(sha256) its digest, C(score)
      and C(summary) are as in it.
  returned: if O(hardening) is given and the host answered
  type: dict
  sample: {report: build/hardening/images/ami-0123456789abcdef0.json, sha256: "…", score: 100.0, summary: {pass: 280}}
seconds:
  description: How long each step took.
  returned: always
  type: dict
"""

import signal
from typing import NoReturn

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import reported
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.checks import failed
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.plan import ImageError, not_published
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.testing import ImageTest, lifetime_violation

HARDENING = {
    "level": {"type": "int", "choices": [1, 2], "default": 1},
    "in_use": {"type": "dict", "default": {}},
    "exceptions": {"type": "list", "elements": "dict", "default": []},
    "overrides": {"type": "dict", "default": {}},
    "register_directories": {"type": "list", "elements": "path", "default": []},
    "report_directory": {"type": "path", "required": True},
}


def stop_on_signals() -> None:
    """SIGTERM and SIGHUP leave through the `finally` that terminates the host."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise ImageError(f"stopped by signal {number}")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "image_id": {"type": "str", "required": True},
            "expected_version": {"type": "str", "default": ""},
            "image_version": {"type": "str", "default": ""},
            "application_directory": {"type": "str", "default": "/opt/app"},
            "version_path": {"type": "str", "default": "/version"},
            "login_user": {"type": "str", "default": "ec2-user"},
            "kms_key": {"type": "str", "required": True, "no_log": False},
            "vpc_name": {"type": "str", "required": True},
            "subnet_filters": {"type": "dict", "required": True},
            "security_group": {"type": "str", "required": True},
            "instance_profile": {"type": "str", "required": True},
            "instance_type": {"type": "str", "default": "t3.medium"},
            "host_tags": {"type": "dict", "default": {}},
            "wait_seconds": {"type": "int", "default": 300},
            "read_seconds": {"type": "int", "default": 1200},
            "lifetime_seconds": {"type": "int", "default": 3600},
            "hardening": {"type": "dict", "options": HARDENING},
            "audit_program": {"type": "str", "default": ""},
            "scripts": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if too_short := lifetime_violation(module.params):
        module.fail_json(msg=too_short)
    stop_on_signals()
    test = ImageTest(lambda service: client(module, service), str(module.region), module.params)
    doing = f"Testing image {module.params['image_id']} in {test.region}"
    with reported(module, doing, details=test.result), not_published():
        test.run(module.check_mode)
        if bad := failed(test.checks):
            raise ImageError(bad)
    module.exit_json(**test.result())


if __name__ == "__main__":
    main()
