"""One image through its life on the lab: baked, looked at, published, published again; and one that must never be published."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.image_lab import EAST, NOTHING, RELEASE, ROOT, WEST, ImageLab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab() -> Iterator[ImageLab]:
    made = ImageLab("images", "al2023")
    made.up()
    yield made
    made.lab("down", timeout=120)


@pytest.fixture(scope="module")
def release(lab: ImageLab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return lab.publish_release(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def baked(lab: ImageLab, release: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Region → the image that a bake made there."""
    done = lab.bake(release)
    assert done.returncode == 0, done.stdout[-5000:]
    return {region: lab.images(region)[-1] for region in (EAST, WEST)}


def kept(baked: dict[str, dict[str, Any]]) -> Path:
    """What the control node keeps of the image."""
    return Path(ROOT, "build/packer", baked[EAST]["Name"])


@pytest.mark.slow
def test_a_wrong_checksum_stops_the_bake_and_leaves_nothing(lab: ImageLab, release: dict[str, str]) -> None:
    done = lab.bake(release, artifact_sha256="0" * 64)
    assert done.returncode != 0
    assert "0" * 64 in done.stdout
    assert lab.images(EAST) == lab.images(WEST) == []
    assert lab.leftovers() == NOTHING


def test_the_image_is_in_both_regions_encrypted_with_the_key_of_each(
    lab: ImageLab, baked: dict[str, dict[str, Any]]
) -> None:
    for region, image in baked.items():
        key = lab.aws("kms", "describe-key", "--key-id", "alias/fleet-ebs", region=region)["KeyMetadata"]["Arn"]
        snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        found = lab.aws("ec2", "describe-snapshots", "--snapshot-ids", snapshot, region=region)["Snapshots"][0]
        assert (found["Encrypted"], found["KmsKeyId"]) == (True, key)
        assert image["ImdsSupport"] == "v2.0" and image["State"] == "available"


def test_the_image_says_what_it_was_made_from(baked: dict[str, dict[str, Any]], release: dict[str, str]) -> None:
    for image in baked.values():
        tags = {t["Key"]: t["Value"] for t in image["Tags"]}
        assert tags["State"] == "candidate"
        assert (tags["ArtifactVersion"], tags["ArtifactSha256"]) == (RELEASE, release["sha256"])
        assert tags["Environment"] == "lab" and tags["Cost-Center"] == "engineering" and len(tags["GitCommit"]) >= 40


def test_the_bake_leaves_only_the_image(lab: ImageLab, baked: dict[str, dict[str, Any]]) -> None:
    assert lab.leftovers() == NOTHING
    assert [len(lab.images(region)) for region in baked] == [1, 1]


def test_the_manifest_of_the_image_is_kept_on_the_control_node(baked: dict[str, dict[str, Any]]) -> None:
    manifest = json.loads((kept(baked) / "image-manifest.json").read_text())
    assert manifest["inputs"]["image_name"] == baked[EAST]["Name"]
    assert "nginx" in {component["name"] for component in manifest["sbom"]["components"]}


def test_the_manifest_holds_what_the_controls_found_in_the_bake_and_the_record_of_the_files(
    baked: dict[str, dict[str, Any]],
) -> None:
    manifest = json.loads((kept(baked) / "image-manifest.json").read_text())
    report = (kept(baked) / "bake-lab-al2023/bake.json").read_bytes()
    controls = manifest["controls"]
    assert controls["sha256"] == hashlib.sha256(report).hexdigest()
    assert controls["results"]["aide-first-boot"] in ("changed", "pass") and controls["summary"].get("fail", 0) == 0
    assert len(controls["results"]) == sum(controls["summary"].values()) > 200
    assert len(manifest["aide"]["sha256"]) == 64


def test_a_check_run_of_the_publication_changes_nothing(lab: ImageLab, baked: dict[str, dict[str, Any]]) -> None:
    done = lab.play("publish_image", "--check", "--diff")
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{WEST} {lab.parameter}: {baked[WEST]['ImageId']}" in done.stdout
    assert lab.parameters(EAST) == {} and lab.hosts(EAST) == []


def test_a_tested_image_is_published_in_both_regions(lab: ImageLab, baked: dict[str, dict[str, Any]]) -> None:
    done = lab.play("publish_image")
    assert done.returncode == 0, done.stdout[-5000:]
    digest = hashlib.sha256((kept(baked) / "image-manifest.json").read_bytes()).hexdigest()
    for region, image in baked.items():
        assert lab.parameters(region) == {"current": image["ImageId"]}
        tags = {t["Key"]: t["Value"] for t in lab.images(region)[-1]["Tags"]}
        assert (tags["State"], tags["ManifestDigest"]) == ("published", f"sha256:{digest}")
        report = (ROOT / f"build/hardening/images-lab/{image['ImageId']}.json").read_bytes()
        assert tags["HardeningReport"] == f"sha256:{hashlib.sha256(report).hexdigest()}"
        summary = json.loads(report)["summary"]
        assert summary.get("fail", 0) == 0 and summary["pass"] > 200
        assert tags["HardeningScore"].startswith("100.0; ") and f"{summary['pass']} pass" in tags["HardeningScore"]
    assert lab.leftovers() == NOTHING


def test_publishing_again_changes_nothing(lab: ImageLab, baked: dict[str, dict[str, Any]]) -> None:
    done = lab.play("publish_image")
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout[-3000:]


def spoil(lab: ImageLab, good: dict[str, Any], name: str, script: str) -> dict[str, str]:
    """Region → a candidate made from the good image by somebody who logged in and ran the script."""
    subnets = lab.aws("ec2", "describe-subnets", "--filters", "Name=tag:Tier,Values=app")["Subnets"]
    started = lab.aws(
        "ec2", "run-instances", "--image-id", good["ImageId"], "--instance-type", "t3.medium", "--subnet-id",
        subnets[0]["SubnetId"], "--iam-instance-profile", "Name=fleet-web",
    )  # fmt: skip
    host = started["Instances"][0]["InstanceId"]
    known = ("ssm", "describe-instance-information", "--filters", f"Key=InstanceIds,Values={host}")
    wait_until(lambda: bool(lab.aws(*known)["InstanceInformationList"]), 90)
    sent = lab.aws(
        "ssm", "send-command", "--instance-ids", host, "--document-name", "AWS-RunShellScript", "--parameters",
        json.dumps({"commands": [script]}),
    )  # fmt: skip
    asked = ("ssm", "list-command-invocations", "--command-id", sent["Command"]["CommandId"])
    wait_until(lambda: lab.aws(*asked)["CommandInvocations"][0]["Status"] == "Success", 60)
    plain = lab.aws("ec2", "create-image", "--instance-id", host, "--name", f"{name}-plain")["ImageId"]
    lab.aws("ec2", "wait", "image-available", "--image-ids", plain)
    lab.aws("ec2", "terminate-instances", "--instance-ids", host)
    tags = [{"Key": "State", "Value": "candidate"}, {"Key": "ArtifactVersion", "Value": RELEASE}]
    tags += [t for t in good["Tags"] if t["Key"] in ("Application", "Environment", "OS")]
    made = {}
    for region in (EAST, WEST):
        made[region] = lab.aws(
            "ec2", "copy-image", "--source-image-id", plain, "--source-region", EAST, "--name", name, "--encrypted",
            "--kms-key-id", "alias/fleet-ebs", "--tag-specifications", json.dumps([{"ResourceType": "image", "Tags": tags}]),
            region=region,
        )["ImageId"]  # fmt: skip
        lab.aws("ec2", "wait", "image-available", "--image-ids", made[region], region=region)
    return made


def wait_until(true: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not become true"
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("script", "named"),
    [
        pytest.param(
            "echo secret >/root/.bash_history; touch -d '2026-01-01' /root/.bash_history",
            "no shell history: /root/.bash_history",
            id="history",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "chmod 0644 /etc/shadow",
            "control file-shadow: /etc/shadow mode is 0644",
            id="control",
            marks=pytest.mark.slow,
        ),
        pytest.param("printf x >>/usr/bin/passwd", "files match the AIDE database: /usr/bin/passwd", id="program"),
    ],
)
def test_a_spoiled_image_stays_a_candidate_and_the_message_names_what_is_wrong(
    lab: ImageLab, baked: dict[str, dict[str, Any]], script: str, named: str, request: pytest.FixtureRequest
) -> None:
    made = spoil(lab, baked[EAST], f"ecommerce-web-lab-{request.node.callspec.id}", script)
    done = lab.play("publish_image", fleet_image_id=made[EAST])
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert f"Testing image {made[EAST]} in {EAST}" in said
    assert named in said, said[-4000:]
    assert "It stays a candidate; nothing was published" in said
    assert lab.parameters(EAST) == {"current": baked[EAST]["ImageId"]}
    assert lab.hosts(EAST) == lab.hosts(WEST) == []
