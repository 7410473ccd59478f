"""Which image is meant, and what publishing it has to write."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.parameters import Change
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.plan import (
    Image,
    ImageError,
    copies,
    pick,
    plan_parameters,
)

KEY = "arn:aws:kms:us-east-1:000000000000:key/east"
NEW = Image(
    "us-east-1", "ami-new", "web-2", "2026-11-25T08:00:00Z", "available", "v2.0", (KEY,), {"State": "candidate"}
)
OLD = replace(NEW, image_id="ami-old", name="web-1", created="2026-11-24T08:00:00Z", tags={"State": "published"})
COPY = replace(NEW, region="us-west-2", image_id="ami-west")
PARAMETER = "/fleet/shop/prod/al2023/ami"


def test_the_newest_image_is_taken() -> None:
    assert pick([OLD, NEW], None) is NEW


def test_an_older_image_can_be_named_to_go_back_to_it() -> None:
    assert pick([OLD, NEW], "ami-old") is OLD


def test_an_image_without_a_state_is_no_candidate() -> None:
    with pytest.raises(ImageError, match="no image with the tag State=candidate"):
        pick([replace(NEW, tags={})], None)


def test_a_named_image_that_is_no_candidate_is_refused() -> None:
    with pytest.raises(ImageError, match="ami-other is not a candidate"):
        pick([NEW], "ami-other")


def test_copies_are_found_by_their_common_name() -> None:
    assert copies(NEW, {"us-west-2": [replace(COPY, name="web-1", image_id="ami-x"), COPY]}) == {
        "us-east-1": NEW,
        "us-west-2": COPY,
    }


def test_an_image_without_a_copy_in_the_other_region_is_refused() -> None:
    with pytest.raises(ImageError, match=r"ami-new .* has no copy in us-west-2"):
        copies(NEW, {"us-west-2": []})


def test_the_previous_ids_are_written_everywhere_before_any_new_one() -> None:
    current = {"us-east-1": {PARAMETER: "ami-1"}, "us-west-2": {PARAMETER: "ami-2", f"{PARAMETER}-previous": "ami-0"}}
    assert plan_parameters(PARAMETER, {"us-east-1": "ami-3", "us-west-2": "ami-4"}, current) == [
        Change("us-east-1", f"{PARAMETER}-previous", None, "ami-1"),
        Change("us-west-2", f"{PARAMETER}-previous", "ami-0", "ami-2"),
        Change("us-east-1", PARAMETER, "ami-1", "ami-3"),
        Change("us-west-2", PARAMETER, "ami-2", "ami-4"),
    ]


def test_the_first_publication_has_no_previous_one() -> None:
    assert plan_parameters(PARAMETER, {"us-east-1": "ami-1"}, {}) == [Change("us-east-1", PARAMETER, None, "ami-1")]


def test_publishing_the_same_image_again_writes_nothing_and_keeps_the_previous_one() -> None:
    current = {"us-east-1": {PARAMETER: "ami-3", f"{PARAMETER}-previous": "ami-1"}}
    assert plan_parameters(PARAMETER, {"us-east-1": "ami-3"}, current) == []
