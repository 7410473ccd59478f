"""The publication against two fake regions, one of which can break."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.plan import ImageError, not_published
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.publication import Publication

EAST, WEST = "us-east-1", "us-west-2"
IMAGES = {EAST: "ami-e2", WEST: "ami-w2"}
PARAMETER = "/fleet/shop/prod/al2023/ami"
CONTROLS = {
    EAST: {"sha256": "e" * 64, "score": 100.0, "summary": {"pass": 150, "not_applicable": 40}},
    WEST: {"sha256": "f" * 64, "score": 99.5, "summary": {"pass": 149, "excepted": 1}},
}


class Region:
    """As much of EC2 and Systems Manager as publishing needs."""

    def __init__(self, image_id: str, parameters: dict[str, str]) -> None:
        self.image_id, self.parameters = image_id, parameters
        self.tags = {"State": "candidate"}
        self.broken: str | None = None
        self.untaggable: str | None = None
        self.write_once = False

    def describe_images(self, **asked: list[str]) -> dict[str, Any]:
        tags = [{"Key": k, "Value": v} for k, v in self.tags.items()]
        found = [i for i in asked["ImageIds"] if i == self.image_id]
        return {"Images": [{"ImageId": i, "State": "available", "Tags": tags} for i in found]}

    def create_tags(self, **asked: Any) -> None:
        assert asked["Resources"] == [self.image_id]
        tags = {t["Key"]: t["Value"] for t in asked["Tags"]}
        if tags["State"] == self.untaggable:
            raise RuntimeError("not allowed")
        self.tags |= tags

    def delete_tags(self, **asked: Any) -> None:
        assert asked["Resources"] == [self.image_id]
        for tag in asked["Tags"]:
            self.tags.pop(tag["Key"], None)

    def get_parameters(self, **asked: list[str]) -> dict[str, Any]:
        known = [name for name in asked["Names"] if name in self.parameters]
        return {"Parameters": [{"Name": name, "Value": self.parameters[name]} for name in known]}

    def put_parameter(self, **asked: Any) -> None:
        if self.broken == asked["Name"] or (self.write_once and self.parameters.get(asked["Name"]) == self.image_id):
            raise RuntimeError("throttled")
        self.parameters[asked["Name"]] = asked["Value"]

    def delete_parameter(self, **asked: str) -> None:
        del self.parameters[asked["Name"]]


def publish(regions: dict[str, Region], reports: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    options = {"images": IMAGES, "reports": reports, "controls": CONTROLS, "parameter": PARAMETER, "parameter_tags": {}}
    return Publication(lambda _service, region: regions[region], options).publish(check_mode)


@pytest.fixture
def regions() -> dict[str, Region]:
    return {EAST: Region("ami-e2", {PARAMETER: "ami-e1"}), WEST: Region("ami-w2", {PARAMETER: "ami-w1"})}


def report(letter: str) -> dict[str, list[str]]:
    return {"host_key": [letter], "machine_id": [letter * 32], "manifest_sha256": ["f" * 64]}


REPORTS = {EAST: report("a"), WEST: report("b")}


def test_a_tested_image_is_published_in_both_regions_with_the_way_back(regions: dict[str, Region]) -> None:
    result = publish(regions, REPORTS)
    assert result["changed"] and result["previous"] == {EAST: "ami-e1", WEST: "ami-w1"}
    assert regions[WEST].parameters == {PARAMETER: "ami-w2", f"{PARAMETER}-previous": "ami-w1"}
    assert regions[EAST].tags == {
        "State": "published",
        "ManifestDigest": "sha256:" + "f" * 64,
        "HardeningReport": "sha256:" + "e" * 64,
        "HardeningScore": "100.0; 40 not_applicable, 150 pass",
    }
    assert regions[WEST].tags["HardeningScore"] == "99.5; 1 excepted, 149 pass"


def test_publishing_again_changes_nothing_and_needs_no_test(regions: dict[str, Region]) -> None:
    publish(regions, REPORTS)
    again = publish(regions, {})
    assert not again["changed"] and again["previous"] == {EAST: "ami-e1", WEST: "ami-w1"}


def test_an_image_that_was_not_tested_everywhere_is_never_published(regions: dict[str, Region]) -> None:
    with pytest.raises(ImageError, match="not tested in us-west-2"):
        publish(regions, {EAST: report("a")})
    assert regions[EAST].tags == {"State": "candidate"}
    assert regions[EAST].parameters == {PARAMETER: "ami-e1"}


def test_hosts_with_the_same_keys_stop_it(regions: dict[str, Region]) -> None:
    with pytest.raises(ImageError, match="host keys differ"):
        publish(regions, {EAST: report("a"), WEST: report("a")})


def test_check_mode_writes_nothing_and_shows_the_change(regions: dict[str, Region]) -> None:
    result = publish(regions, {}, check_mode=True)
    assert result["changed"] and f"{WEST} {PARAMETER}: ami-w2" in result["diff"]["after"]
    assert regions[WEST].parameters == {PARAMETER: "ami-w1"} and regions[WEST].tags == {"State": "candidate"}


def test_when_the_second_region_fails_the_first_is_restored(regions: dict[str, Region]) -> None:
    regions[WEST].broken = PARAMETER
    with pytest.raises(RuntimeError, match="throttled"):
        publish(regions, REPORTS)
    assert regions[EAST].parameters == {PARAMETER: "ami-e1"}
    assert regions[WEST].parameters == {PARAMETER: "ami-w1"}
    assert regions[EAST].tags["State"] == regions[WEST].tags["State"] == "candidate"
    assert regions[EAST].tags == regions[WEST].tags == {"State": "candidate"}, "what publishing has added goes"


def test_a_region_that_can_not_be_tagged_leaves_no_image_tagged_as_published(regions: dict[str, Region]) -> None:
    regions[WEST].untaggable = "published"
    with pytest.raises(RuntimeError, match="not allowed"):
        publish(regions, REPORTS)
    assert regions[EAST].tags == regions[WEST].tags == {"State": "candidate"}
    assert regions[EAST].parameters == {PARAMETER: "ami-e1"}


def test_what_can_not_be_restored_is_named_and_the_rest_is_restored(regions: dict[str, Region]) -> None:
    regions[WEST].broken = PARAMETER
    regions[EAST].untaggable, regions[EAST].write_once = "candidate", True
    with pytest.raises(ImageError) as raised, not_published():
        publish(regions, REPORTS)
    assert "us-east-1 may be ami-e2, before it was ami-e1: throttled" in str(raised.value)
    assert "the tags of ami-e2 in us-east-1 may say published, before State was candidate: not allowed" in str(
        raised.value
    )
    assert "published in part: publish it again" in str(raised.value)
    assert "nothing was published" not in str(raised.value)
    assert (regions[WEST].tags, regions[WEST].parameters) == ({"State": "candidate"}, {PARAMETER: "ami-w1"})
