from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils.image_plan import (
    Change,
    Image,
    ImageError,
    check_distinct,
    check_image,
    check_report,
    copies,
    failed,
    parse_report,
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
PROBE = """
health=200
version={"version": "1.2.0", "host": "ip-10-0-16-4", "pid": 7}
imds_v1=401
host_key=SHA256:one
host_key=SHA256:two
machine_id=0123456789abcdef0123456789abcdef
manifest_image=web-2
manifest_sha256=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
manifest_aide=bbbb
aide_record=bbbb
aide_code=0
probe=done
"""
GOOD = parse_report(PROBE)


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


def test_a_good_image_passes() -> None:
    assert failed(check_image(NEW, KEY)) == ""


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (replace(NEW, keys=(None,)), "encrypted with the region's key: not encrypted"),
        (replace(NEW, keys=("arn:other",)), "encrypted with the region's key: arn:other"),
        (replace(NEW, keys=()), "encrypted with the region's key: no volume"),
        (replace(NEW, imds=""), "IMDSv2 only"),
        (replace(NEW, state="failed"), "available: failed"),
    ],
)
def test_a_bad_image_is_named_with_what_was_seen(image: Image, name: str) -> None:
    assert name in failed(check_image(image, KEY))


def test_a_good_host_passes() -> None:
    assert failed(check_report(GOOD, "web-2", "1.2.0")) == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("health=503", "/health answers 200: 503"),
        ('version={"version": "1.1.0"}', '/version answers the release: {"version": "1.1.0"}'),
        ("imds_v1=200", "a request without a token got 200"),
        ("machine_id=", "machine id made: empty"),
        ("manifest_image=web-1", "manifest is this image's: web-1"),
        ("manifest_sha256=", "manifest digest: none"),
        ("aide_record=cccc", "AIDE's record is the manifest's: cccc"),
        ("manifest_aide=", "AIDE's record is the manifest's: bbbb"),
        ("aide_code=17", "files are as AIDE recorded them: aide --check ended with exit code 17"),
        ("aide_code=4\naide_difference=/usr/bin/sudo", "files are as AIDE recorded them: /usr/bin/sudo"),
    ],
)
def test_a_wrong_answer_fails_its_check(line: str, message: str) -> None:
    key = line.partition("=")[0]
    text = "\n".join([line, *(known for known in PROBE.splitlines() if not known.startswith(f"{key}="))])
    assert message in failed(check_report(parse_report(text), "web-2", "1.2.0"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("authorized_keys=/root/.ssh/authorized_keys", "no authorized keys: /root/.ssh/authorized_keys"),
        ("history=/root/.bash_history", "no shell history: /root/.bash_history"),
        ("old_log=/var/log/secure", "no logs from before the boot: /var/log/secure"),
        ("old_tmp=/tmp/x", "no rests in /tmp: /tmp/x"),
        ("failed_unit=nginx.service", "no failed units: nginx.service"),
    ],
)
def test_anything_left_over_fails_its_check(line: str, message: str) -> None:
    assert failed(check_report(parse_report(PROBE + line), "web-2", "1.2.0")) == message


def test_an_image_without_a_record_passes_and_a_lost_record_does_not() -> None:
    without = {key: values for key, values in GOOD.items() if "aide" not in key}
    assert failed(check_report(without, "web-2", "1.2.0")) == ""
    lost = {**without, "manifest_aide": ["bbbb"]}
    assert failed(check_report(lost, "web-2", "1.2.0")) == "AIDE's record is the manifest's: no record"


def test_an_empty_report_fails_every_check() -> None:
    assert not [check.name for check in check_report({}, "web-2", "1.2.0") if check.ok]


def test_hosts_of_one_image_must_not_share_an_identity() -> None:
    other = {**GOOD, "host_key": ["SHA256:three", "SHA256:two"]}
    assert failed(check_distinct({"us-east-1": GOOD, "us-west-2": other})) == (
        "host keys differ between hosts: SHA256:two; machine ids differ between hosts: 0123456789abcdef0123456789abcdef"
    )


def test_a_manifest_that_differs_between_regions_is_found() -> None:
    other = {"host_key": ["x"], "machine_id": ["y"], "manifest_sha256": ["b" * 64]}
    assert failed(check_distinct({"us-east-1": GOOD, "us-west-2": other})).startswith("same manifest in every region")


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
