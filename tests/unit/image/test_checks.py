"""What an image and a host booted from it must be like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.checks import (
    check_distinct,
    check_image,
    check_report,
    failed,
    parse_report,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.plan import Image

KEY = "arn:aws:kms:us-east-1:000000000000:key/east"
NEW = Image(
    "us-east-1", "ami-new", "web-2", "2026-11-25T08:00:00Z", "available", "v2.0", (KEY,), {"State": "candidate"}
)
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
aide_database=bbbb
aide_code=0
probe=done
"""
GOOD = parse_report(PROBE)


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
        ('version={"version": "1.1.0"}', 'version is the release\'s: {"version": "1.1.0"}'),
        ("imds_v1=200", "a request without a token got 200"),
        ("machine_id=", "machine id made: empty"),
        ("manifest_image=web-1", "manifest is this image's: web-1"),
        ("manifest_sha256=", "manifest digest: none"),
        ("aide_database=cccc", "AIDE database is the manifest's: cccc"),
        ("manifest_aide=", "AIDE database is the manifest's: bbbb"),
        ("aide_code=17", "files match the AIDE database: aide --check ended with exit code 17"),
        ("aide_code=4\naide_difference=/usr/bin/sudo", "files match the AIDE database: /usr/bin/sudo"),
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
        ("old_tmp=/tmp/x", "no leftovers in /tmp: /tmp/x"),
        ("failed_unit=nginx.service", "no failed units: nginx.service"),
    ],
)
def test_leftovers_fail_their_check(line: str, message: str) -> None:
    assert failed(check_report(parse_report(PROBE + line), "web-2", "1.2.0")) == message


FETCHED = "aide_code=5\naide_application_difference=/opt/app/current"


def with_lines(lines: str) -> dict[str, list[str]]:
    keys = {line.partition("=")[0] for line in lines.splitlines()}
    return parse_report(
        "\n".join([lines, *(known for known in PROBE.splitlines() if known.partition("=")[0] not in keys)])
    )


def test_a_host_that_has_fetched_the_current_release_may_differ_by_that() -> None:
    assert failed(check_report(with_lines(FETCHED), "web-2", "1.2.0", "1.1.0")) == ""


@pytest.mark.parametrize(
    ("lines", "image_version", "message"),
    [
        (FETCHED, "1.2.0", "files match the AIDE database: /opt/app/current"),
        (FETCHED, "", "files match the AIDE database: /opt/app/current"),
        (f"{FETCHED}\naide_difference=/usr/bin/sudo", "1.1.0", "files match the AIDE database: /usr/bin/sudo"),
        (FETCHED.replace("=5", "=17"), "1.1.0", "files match the AIDE database: aide --check ended with exit code 17"),
        ("aide_code=4", "1.1.0", "files match the AIDE database: aide --check ended with exit code 4"),
    ],
)
def test_it_may_not_differ_by_anything_else(lines: str, image_version: str, message: str) -> None:
    assert failed(check_report(with_lines(lines), "web-2", "1.2.0", image_version)) == message


def test_an_image_without_an_aide_database_passes_and_a_lost_one_does_not() -> None:
    without = {key: values for key, values in GOOD.items() if "aide" not in key}
    assert failed(check_report(without, "web-2", "1.2.0")) == ""
    lost = {**without, "manifest_aide": ["bbbb"]}
    assert failed(check_report(lost, "web-2", "1.2.0")) == "AIDE database is the manifest's: no database"


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
