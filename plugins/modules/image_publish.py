#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Publish a tested image: its tags and the parameters that launch templates read."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_publish
short_description: Publish a tested image
version_added: 0.1.0
description:
  - Compares the test hosts of the regions with each other, tags the image C(State=published) with the digest of its manifest and what the
    hardening controls came to on its host, and writes its id to Parameter Store in every region. The id that was there before goes to
    C(<parameter>-previous), the target of a rollback.
  - If a region can't be written, the parameters written before it are put back, so that no region runs ahead of another.
options:
  images:
    description: Region to image id.
    type: dict
    required: true
  reports:
    description: Region to the report of M(ecommerce.fleet.image_test). Not needed for images that are published already.
    type: dict
    default: {}
  controls:
    description: Region to C(controls) of M(ecommerce.fleet.image_test), for the tags C(HardeningScore) and C(HardeningReport).
    type: dict
    default: {}
  parameter:
    description: Name of the parameter.
    type: str
    required: true
  parameter_tags:
    description: Tags of parameters that are created.
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
- name: Publish the image
  ecommerce.fleet.image_publish:
    region: us-east-1
    images: {us-east-1: ami-0123456789abcdef0, us-west-2: ami-0fedcba9876543210}
    reports: "{{ reports }}"
    parameter: /fleet/ecommerce-web/prod/al2023/ami
"""

RETURN = r"""
published:
  description: Region to image id.
  returned: success
  type: dict
previous:
  description: Region to the image id that a rollback goes to; null where there was none.
  returned: success
  type: dict
manifest_digest:
  description: SHA-256 of the manifest in the image; empty for an image that was published before.
  returned: success
  type: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils import image_aws, image_plan

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule reports the missing library
    BotoCoreError = ClientError = Exception  # type: ignore[misc,assignment]


class Publication:
    """One image in all its regions."""

    def __init__(self, module: Any) -> None:
        self.images: dict[str, str] = module.params["images"]
        self.parameter: str = module.params["parameter"]
        self.tags: dict[str, str] = module.params["parameter_tags"]
        self.controls: dict[str, dict[str, Any]] = module.params["controls"]
        self.ec2 = {region: module.client("ec2", region=region) for region in self.images}
        self.ssm = {region: module.client("ssm", region=region) for region in self.images}

    def unpublished(self) -> list[str]:
        """The regions where the image is not tagged as published."""
        found = {region: image_aws.read_image(self.ec2[region], region, id_) for region, id_ in self.images.items()}
        return [region for region, image in found.items() if image.tags.get("State") != image_plan.PUBLISHED]

    def current(self) -> dict[str, dict[str, str]]:
        names = [self.parameter, f"{self.parameter}-previous"]
        return {region: image_aws.read_parameters(self.ssm[region], names) for region in self.images}

    def tag(self, regions: list[str], digest: str) -> None:
        for region in regions:
            tags = {"State": image_plan.PUBLISHED, "ManifestDigest": f"sha256:{digest}"}
            if found := self.controls.get(region):
                tags["HardeningReport"] = f"sha256:{found['sha256']}"
                tags["HardeningScore"] = image_plan.score(found)
            self.ec2[region].create_tags(Resources=[self.images[region]], Tags=image_aws.tag_list(tags))

    def untag(self, regions: list[str]) -> None:
        tags = image_aws.tag_list({"State": image_plan.CANDIDATE})
        for region in regions:
            self.ec2[region].create_tags(Resources=[self.images[region]], Tags=tags)

    def write(self, changes: list[image_plan.Change]) -> None:
        """Write all parameters, or put back those that were written and raise."""
        done: list[image_plan.Change] = []
        try:
            for change in changes:
                image_aws.write_parameter(self.ssm[change.region], change, self.tags)
                done.append(change)
        except Exception:
            for change in reversed(done):
                image_aws.undo_parameter(self.ssm[change.region], change)
            raise


def judge(reports: dict[str, dict[str, list[str]]], regions: list[str]) -> str:
    """The digest of the manifest that every region's test host had. Raises ImageError unless all were tested and differ as they must."""
    missing = [region for region in regions if not reports.get(region)]
    if missing:
        raise image_plan.ImageError(f"it was not tested in {', '.join(missing)}; an untested image is never published")
    if bad := image_plan.failed(image_plan.check_distinct({region: reports[region] for region in regions})):
        raise image_plan.ImageError(f"comparing the test hosts of {', '.join(regions)}: {bad}")
    return reports[regions[0]]["manifest_sha256"][0]


def diff(changes: list[image_plan.Change]) -> dict[str, str]:
    before = "".join(f"{c.region} {c.name}: {c.old or '(none)'}\n" for c in changes)
    after = "".join(f"{c.region} {c.name}: {c.new}\n" for c in changes)
    return {"before": before, "after": after}


def publish(module: Any) -> dict[str, Any]:
    """Do it; returns the module's result."""
    publication = Publication(module)
    regions = list(publication.images)
    untagged = publication.unpublished()
    digest = ""
    # In check mode no host was booted, so there is nothing to judge.
    if untagged and not module.check_mode:
        digest = judge(module.params["reports"], regions)
    current = publication.current()
    changes = image_plan.plan_parameters(publication.parameter, publication.images, current)
    if not module.check_mode:
        publication.tag(untagged, digest)
        try:
            publication.write(changes)
        except Exception:
            publication.untag(untagged)
            raise
        current = publication.current()
    previous = {region: seen.get(f"{publication.parameter}-previous") for region, seen in current.items()}
    return {
        "changed": bool(untagged or changes),
        "published": publication.images,
        "previous": previous,
        "manifest_digest": digest,
        "diff": diff(changes),
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "images": {"type": "dict", "required": True},
            "reports": {"type": "dict", "default": {}},
            "controls": {"type": "dict", "default": {}},
            "parameter": {"type": "str", "required": True},
            "parameter_tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    named = ", ".join(f"{id_} in {region}" for region, id_ in module.params["images"].items())
    doing = f"Publishing image {named} as {module.params['parameter']}"
    try:
        result = publish(module)
    except image_plan.ImageError as error:
        module.fail_json(msg=f"{doing}: {error}. It stays a candidate; nothing was published.")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(
            error, msg=f"{doing}: parameters already written were put back; run it again when the cause is mended"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
