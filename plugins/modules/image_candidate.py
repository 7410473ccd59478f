#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the image to test and publish, with its copies in the other regions."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_candidate
short_description: Find the image to test and publish, with its copies
version_added: 0.1.0
description:
  - Finds the newest image with the given tags and C(State=candidate) or C(State=published), or the one with the given id, and its copies
    in the other regions by their common name. Changes nothing.
options:
  regions:
    description: The regions that the image must be in; it was built in the first.
    type: list
    elements: str
    required: true
  image_tags:
    description: Tags that the image must have.
    type: dict
    required: true
  image_id:
    description: Id of the image in the first region, instead of the newest; also for going back to an older one.
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
- name: Find the candidate
  ecommerce.fleet.image_candidate:
    region: us-east-1
    regions: [us-east-1, us-west-2]
    image_tags: {Application: ecommerce-web, Environment: prod, OS: al2023}
"""

RETURN = r"""
images:
  description: Region to image id.
  returned: success
  type: dict
name:
  description: Name of the image, the same in every region.
  returned: success
  type: str
version:
  description: Version of the application in it (tag C(ArtifactVersion)).
  returned: success
  type: str
published:
  description: Whether it was published in every region already.
  returned: success
  type: bool
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import reported
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.api import find_images
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.plan import PUBLISHED, copies, pick


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "regions": {"type": "list", "elements": "str", "required": True},
            "image_tags": {"type": "dict", "required": True},
            "image_id": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    regions, tags = module.params["regions"], module.params["image_tags"]
    named = ", ".join(f"{key}={value}" for key, value in tags.items())
    with reported(module, f"Finding the image of {named} in {', '.join(regions)}"):
        found = {region: find_images(client(module, "ec2", region), region, tags) for region in regions}
        image = pick(found[regions[0]], module.params["image_id"] or None)
        images = copies(image, {region: found[region] for region in regions[1:]})
    module.exit_json(
        changed=False,
        images={region: copy.image_id for region, copy in images.items()},
        name=image.name,
        version=image.tags.get("ArtifactVersion", ""),
        published=all(copy.tags.get("State") == PUBLISHED for copy in images.values()),
    )


if __name__ == "__main__":
    main()
