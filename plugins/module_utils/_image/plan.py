# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about images, free of AWS calls: which one is meant, what publishing has to change. Control node only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .._aws.errors import UserError
from .._aws.parameters import Change
from .._aws.restoring import NotRestoredError

CANDIDATE, PUBLISHED = "candidate", "published"


class ImageError(UserError):
    """An image that does not exist, did not start, or must not be published."""


@contextmanager
def not_published() -> Iterator[None]:
    """Add to every error what it means for the image."""
    try:
        yield
    except NotRestoredError as error:
        raise ImageError(
            f"{error}. It is published in part: publish it again when the cause is fixed, or the one from before (fleet_image_id)."
        ) from error
    except UserError as error:
        raise ImageError(f"{error}. It stays a candidate; nothing was published.") from error


@dataclass(frozen=True)
class Image:
    """An image as EC2 describes it. ``keys`` are the ARNs of the KMS keys of its snapshots; None stands for an unencrypted one."""

    region: str
    image_id: str
    name: str
    created: str
    state: str
    imds: str
    keys: tuple[str | None, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


def pick(images: Iterable[Image], image_id: str | None) -> Image:
    """The image with that id, else the newest candidate or published one. Raises ImageError if there is none."""
    usable = [image for image in images if image.tags.get("State") in (CANDIDATE, PUBLISHED)]
    if image_id:
        found = [image for image in usable if image.image_id == image_id]
        if not found:
            raise ImageError(
                f"{image_id} is not a candidate of this application, environment and OS (tags Application, Environment, OS and "
                f"State={CANDIDATE}). Nothing was changed. Look at its tags, or leave fleet_image_id out for the newest candidate."
            )
        return found[0]
    if not usable:
        raise ImageError(f"there is no image with the tag State={CANDIDATE}. Bake one first, see packer/README.md")
    return max(usable, key=lambda image: (image.created, image.name))


def copies(image: Image, others: Mapping[str, Sequence[Image]]) -> dict[str, Image]:
    """Region → the copy of ``image`` there, found by its name, which Packer gives to all. Raises ImageError where one is missing."""
    found = {image.region: image}
    for region, images in others.items():
        same = [other for other in images if other.name == image.name]
        if not same:
            raise ImageError(
                f"{image.image_id} ({image.name}) has no copy in {region}; it can't be published. Bake again: "
                "Packer copies to every region of its variable copy_regions."
            )
        found[region] = same[0]
    return found


def plan_parameters(
    parameter: str, images: Mapping[str, str], current: Mapping[str, Mapping[str, str]]
) -> list[Change]:
    """What to write, in order: first every region's ``<parameter>-previous``, then every ``<parameter>``.

    ``images``: region → image id; ``current``: region → parameter name → value. So a rollback target is known before anything new is
    published, and publishing the same image again writes nothing.
    """
    before, after = [], []
    for region, image_id in images.items():
        seen = current.get(region, {})
        old = seen.get(parameter)
        if old == image_id:
            continue
        previous = f"{parameter}-previous"
        if old is not None and seen.get(previous) != old:
            before.append(Change(region, previous, seen.get(previous), old))
        after.append(Change(region, parameter, old, image_id))
    return before + after
