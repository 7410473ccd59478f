# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The publication of a tested image in all its regions: its tags and the parameters that launch templates read. Control node only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from .._aws import parameters
from .._aws.parameters import Change
from .._aws.restoring import undone_on_failure
from .._aws.tags import tag_list
from .api import read_image
from .checks import check_distinct, failed, score
from .plan import PUBLISHED, Image, ImageError, plan_parameters

TAGS = ("State", "ManifestDigest", "HardeningReport", "HardeningScore")
"""Which tags publishing sets."""


class Publication:
    """``client``: makes a client from service and region; ``options``: those of the module image_publish."""

    def __init__(self, client: Callable[[str, str], Any], options: Mapping[str, Any]) -> None:
        self.images: dict[str, str] = options["images"]
        self.parameter: str = options["parameter"]
        self.options = options
        self.ec2 = {region: client("ec2", region) for region in self.images}
        self.ssm = {region: client("ssm", region) for region in self.images}

    def publish(self, check_mode: bool) -> dict[str, Any]:
        """Returns the module's result. Raises ImageError for an image that must not be published."""
        unpublished = self._unpublished()
        # In check mode no host was booted, so there is nothing to compare.
        compare = unpublished and not check_mode
        digest = compare_reports(self.options["reports"], list(self.images)) if compare else ""
        current = self._parameters()
        changes = plan_parameters(self.parameter, self.images, current)
        if not check_mode:
            with undone_on_failure(*(partial(self._restore_tags, image) for image in unpublished)):
                for image in unpublished:
                    self._tag(image, digest)
                parameters.write_all(self.ssm, changes, self.options["parameter_tags"])
            current = self._parameters()
        return {
            "changed": bool(unpublished or changes),
            "published": self.images,
            "previous": {region: seen.get(f"{self.parameter}-previous") for region, seen in current.items()},
            "manifest_digest": digest,
            "diff": _diff(changes),
        }

    def _unpublished(self) -> list[Image]:
        """The image in the regions where it is not tagged as published."""
        found = [read_image(self.ec2[region], region, id_) for region, id_ in self.images.items()]
        return [image for image in found if image.tags.get("State") != PUBLISHED]

    def _parameters(self) -> dict[str, dict[str, str]]:
        names = [self.parameter, f"{self.parameter}-previous"]
        return {region: parameters.read(self.ssm[region], names) for region in self.images}

    def _tag(self, image: Image, digest: str) -> None:
        tags = {"State": PUBLISHED, "ManifestDigest": f"sha256:{digest}"}
        if controls := self.options["controls"].get(image.region):
            tags["HardeningReport"] = f"sha256:{controls['sha256']}"
            tags["HardeningScore"] = score(controls)
        self.ec2[image.region].create_tags(Resources=[image.image_id], Tags=tag_list(tags))

    def _restore_tags(self, image: Image) -> list[str]:
        """What publishing has set gets the value from before, or goes. Answers why it is not so, if it isn't."""
        ec2, before = self.ec2[image.region], {key: image.tags[key] for key in TAGS if key in image.tags}
        try:
            if before:
                ec2.create_tags(Resources=[image.image_id], Tags=tag_list(before))
            if new := [key for key in TAGS if key not in before]:
                ec2.delete_tags(Resources=[image.image_id], Tags=[{"Key": key} for key in new])
        except Exception as error:
            state = before.get("State", "not set")
            return [
                f"the tags of {image.image_id} in {image.region} may say {PUBLISHED}, before State was {state}: {error}"
            ]
        return []


def compare_reports(reports: Mapping[str, Mapping[str, Sequence[str]]], regions: list[str]) -> str:
    """The digest of the manifest that every region's test host had. Raises ImageError unless all were tested and differ as they must."""
    missing = [region for region in regions if not reports.get(region)]
    if missing:
        raise ImageError(f"it was not tested in {', '.join(missing)}; an untested image is never published")
    if bad := failed(check_distinct({region: reports[region] for region in regions})):
        raise ImageError(f"comparing the test hosts of {', '.join(regions)}: {bad}")
    return reports[regions[0]]["manifest_sha256"][0]


def _diff(changes: list[Change]) -> dict[str, str]:
    before = "".join(f"{c.region} {c.name}: {c.old or '(none)'}\n" for c in changes)
    after = "".join(f"{c.region} {c.name}: {c.new}\n" for c in changes)
    return {"before": before, "after": after}
