#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
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
    anything; one that does not hold fails the image.
  - A host that an earlier, killed run left behind is terminated first; each also ends itself after O(lifetime_seconds).
  - In check mode only the description is checked.
options:
  image_id:
    description: The image.
    type: str
    required: true
  expected_version:
    description: What C(/version) must answer; empty for anything.
    type: str
    default: ""
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
  wait_seconds:
    description: Deadline for each of boot, agent, answers and end.
    type: int
    default: 300
  lifetime_seconds:
    description: After this time the host powers itself off and is terminated, in case nobody else does it.
    type: int
    default: 1800
  hardening:
    description: Which controls must hold, as in M(ecommerce.fleet.hardening), and where the report goes. Without it none are evaluated.
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
        description: Controls that need not hold.
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
    description: Set by the action plugin.
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
  description: What the host said of itself, per key a list of values. Empty in check mode.
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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils import image_audit, image_aws, image_plan
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_aws import WaitTimeoutError

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]

ROLE = "image-test"


class Test:
    """The test of one image in one region; ``checks``, ``report``, ``audit`` and ``seconds`` fill up as it goes."""

    def __init__(self, module: Any) -> None:
        self.wanted = module.params
        self.region = str(module.region)
        self.ec2, self.ssm, self.kms = (module.client(name) for name in ("ec2", "ssm", "kms"))
        self.checks: list[image_plan.Check] = []
        self.report: dict[str, list[str]] = {}
        self.audit: dict[str, Any] | None = None
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = round(time.monotonic() - begun, 1)

    def describe(self) -> tuple[image_plan.Image, str]:
        """Check the description; returns the image and the ARN of the key."""
        image = image_aws.read_image(self.ec2, self.region, self.wanted["image_id"])
        arn = image_aws.key_arn(self.kms, self.wanted["kms_key"])
        self.checks += image_plan.check_image(image, arn)
        return image, arn

    @contextmanager
    def host(self) -> Iterator[str]:
        """A host booted from the image, running; terminated on the way out, whatever happened."""
        mine = {"Role": ROLE, "TestedImage": self.wanted["image_id"]}
        place = image_aws.Place(
            vpc_name=self.wanted["vpc_name"],
            subnet_filters=self.wanted["subnet_filters"],
            security_group=self.wanted["security_group"],
            instance_profile=self.wanted["instance_profile"],
            instance_type=self.wanted["instance_type"],
        )
        image_aws.end(self.ec2, image_aws.leftovers(self.ec2, mine), self.wanted["wait_seconds"])
        tags = {**self.wanted["host_tags"], **mine, "Name": f"test {self.wanted['image_id']}"}
        instance_id = image_aws.launch(self.ec2, self.wanted["image_id"], place, tags, self.wanted["lifetime_seconds"])
        try:
            with self.timed("boot"):
                image_aws.wait_running(self.ec2, instance_id, self.wanted["wait_seconds"])
            yield instance_id
        finally:
            with self.timed("end"):
                image_aws.end(self.ec2, [instance_id], self.wanted["wait_seconds"])

    def look(self, image: image_plan.Image, arn: str, instance_id: str) -> None:
        """Check the running host."""
        keys = image_aws.volume_keys(self.ec2, instance_id)
        seen = ", ".join(key or "not encrypted" for key in keys) or "no volume"
        self.checks.append(image_plan.Check("volume encrypted with the region's key", set(keys) == {arn}, seen))
        with self.timed("agent"):
            image_aws.wait_online(self.ssm, instance_id, self.wanted["wait_seconds"])
        with self.timed("probe"):
            self.report = image_plan.parse_report(image_aws.probe(self.ssm, instance_id, self.wanted["wait_seconds"]))
        self.checks += image_plan.check_report(self.report, image.name, self.wanted["expected_version"])
        if self.wanted["audit_program"]:
            with self.timed("controls"):
                self.evaluate_controls(instance_id)

    def evaluate_controls(self, instance_id: str) -> None:
        def run(script: str) -> str:
            seconds = self.wanted["wait_seconds"]
            return str(image_aws.run_command(self.ssm, instance_id, "the hardening audit", script, seconds))

        self.audit = image_audit.audit(run, self.wanted["audit_program"])
        self.checks += image_plan.check_controls(self.audit["results"])

    def result(self) -> dict[str, Any]:
        return {
            "checks": image_plan.as_dicts(self.checks),
            "report": self.report,
            "audit": self.audit,
            "seconds": self.seconds,
        }


def stop_on_signals() -> None:
    """SIGTERM and SIGHUP leave through the `finally` that terminates the host."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise image_plan.ImageError(f"stopped by signal {number}")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "image_id": {"type": "str", "required": True},
            "expected_version": {"type": "str", "default": ""},
            "kms_key": {"type": "str", "required": True, "no_log": False},
            "vpc_name": {"type": "str", "required": True},
            "subnet_filters": {"type": "dict", "required": True},
            "security_group": {"type": "str", "required": True},
            "instance_profile": {"type": "str", "required": True},
            "instance_type": {"type": "str", "default": "t3.medium"},
            "host_tags": {"type": "dict", "default": {}},
            "wait_seconds": {"type": "int", "default": 300},
            "lifetime_seconds": {"type": "int", "default": 1800},
            "audit_program": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    stop_on_signals()
    test = Test(module)
    doing = f"Testing image {module.params['image_id']} in {test.region}"
    booted = False
    try:
        image, arn = test.describe()
        if not image_plan.failed(test.checks) and not module.check_mode:
            booted = True
            with test.host() as instance_id:
                test.look(image, arn, instance_id)
    except (image_plan.ImageError, WaitTimeoutError) as error:
        module.fail_json(
            msg=f"{doing}: {error}. It stays a candidate; nothing was published.", changed=booted, **test.result()
        )
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=doing, **test.result())
    if bad := image_plan.failed(test.checks):
        module.fail_json(
            msg=f"{doing}: {bad}. It stays a candidate; nothing was published.", changed=booted, **test.result()
        )
    module.exit_json(changed=booted, **test.result())


if __name__ == "__main__":
    main()
