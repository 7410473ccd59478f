# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS calls about images: finding and reading them. Control node only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._aws.client import paginate
from .._aws.tags import tag_dict, tag_filters
from .plan import Image, ImageError


def find_images(ec2: Any, region: str, tags: Mapping[str, str]) -> list[Image]:
    """The account's own images with all of these tags."""
    found = paginate(ec2, "describe_images", "Images", Owners=["self"], Filters=tag_filters(tags))
    return [_image(ec2, region, item) for item in found]


def read_image(ec2: Any, region: str, image_id: str) -> Image:
    """Raises ImageError if there is no such image."""
    found = ec2.describe_images(ImageIds=[image_id])["Images"]
    if not found:
        raise ImageError(f"there is no image {image_id} in {region}")
    return _image(ec2, region, found[0])


def _image(ec2: Any, region: str, item: Mapping[str, Any]) -> Image:
    disks = [mapping.get("Ebs", {}) for mapping in item.get("BlockDeviceMappings", [])]
    snapshots = [disk["SnapshotId"] for disk in disks if disk.get("SnapshotId")]
    described = ec2.describe_snapshots(SnapshotIds=snapshots)["Snapshots"] if snapshots else []
    return Image(
        region=region,
        image_id=item["ImageId"],
        name=item.get("Name", ""),
        created=item.get("CreationDate", ""),
        state=item["State"],
        imds=item.get("ImdsSupport", ""),
        keys=encryption_keys(described),
        tags=tag_dict(item.get("Tags", [])),
    )


def encryption_keys(described: list[dict[str, Any]]) -> tuple[str | None, ...]:
    """The KMS keys of described snapshots or volumes; None for an unencrypted one."""
    return tuple(item.get("KmsKeyId") if item.get("Encrypted") else None for item in described)


def key_arn(kms: Any, key: str) -> str:
    """The ARN behind a key's id, alias or ARN."""
    return str(kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"])
