#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
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
  - If a region can't be written, the parameters written before it are restored, so that no region runs ahead of another.
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

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import reported
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.plan import not_published
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.publication import Publication


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
    restored = "parameters already written were restored; run it again when the cause is fixed"
    with reported(module, f"Publishing image {named} as {module.params['parameter']}", note=restored), not_published():
        publication = Publication(lambda service, region: client(module, service, region), module.params)
        result = publication.publish(module.check_mode)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
