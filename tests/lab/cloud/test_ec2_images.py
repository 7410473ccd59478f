"""Images and snapshots as AWS documents them: what is stored, copied, encrypted, refused, and what a failure leaves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.ec2 import code_of, describe, launch, ssh, state, status
from tests.support.running_lab import RunningLab
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def source(lab: RunningLab, ec2: Any) -> Iterator[str]:
    made = launch(ec2)
    wait_for("status ok", lambda: status(ec2, made) == "ok")
    ssh(lab, ec2, made, "echo baked | sudo tee /etc/baked")
    yield made
    ec2.terminate_instances(InstanceIds=[made])


def find(ec2: Any, image_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_images(ImageIds=[image_id])["Images"][0]
    return found


def _ended(ec2: Any, image_id: str) -> bool:
    return bool(find(ec2, image_id)["State"] != "pending")


def available(ec2: Any, image_id: str) -> dict[str, Any]:
    wait_for("end of pending", partial(_ended, ec2, image_id))
    found = find(ec2, image_id)
    assert found["State"] == "available", found.get("StateReason")
    return found


@pytest.fixture(scope="module")
def image(ec2: Any, source: str) -> Iterator[str]:
    tags = [{"Key": "Application", "Value": "ecommerce-web"}]
    made = ec2.create_image(
        InstanceId=source,
        Name="tested-image",
        NoReboot=True,
        TagSpecifications=[{"ResourceType": "image", "Tags": tags}, {"ResourceType": "snapshot", "Tags": tags}],
    )["ImageId"]
    available(ec2, made)
    yield made
    ec2.deregister_image(ImageId=made)


def test_an_image_has_the_facts_and_tags_that_were_asked_for(ec2: Any, source: str, image: str) -> None:
    found = find(ec2, image)
    assert found["SourceInstanceId"] == source
    assert (found["ImdsSupport"], found["BootMode"], found["RootDeviceName"]) == ("v2.0", "uefi-preferred", "/dev/xvda")
    snapshot = ec2.describe_snapshots(SnapshotIds=[found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]])["Snapshots"][
        0
    ]
    assert found["Tags"] == snapshot["Tags"] == [{"Key": "Application", "Value": "ecommerce-web"}]
    assert snapshot["State"] == "completed"
    assert code_of(ec2.delete_snapshot, SnapshotId=snapshot["SnapshotId"]) == "InvalidSnapshot.InUse"


def test_an_instance_of_the_image_has_its_files_and_its_own_identity(
    lab: RunningLab, ec2: Any, source: str, image: str
) -> None:
    made = launch(ec2, ImageId=image)
    wait_for("status ok", lambda: status(ec2, made) == "ok")
    assert ssh(lab, ec2, made, "cat /etc/baked") == "baked"
    key = "cat /etc/ssh/ssh_host_ed25519_key.pub"
    assert ssh(lab, ec2, made, key) != ssh(lab, ec2, source, key)
    ec2.terminate_instances(InstanceIds=[made])


def test_names_are_unique_and_well_formed(ec2: Any, source: str, image: str) -> None:
    assert code_of(ec2.create_image, InstanceId=source, Name="tested-image") == "InvalidAMIName.Duplicate"
    assert code_of(ec2.create_image, InstanceId=source, Name="bad name!") == "InvalidAMIName.Malformed"
    assert code_of(ec2.create_image, InstanceId="i-0000", Name="nothing") == "InvalidInstanceID.NotFound"


def test_an_image_of_a_running_instance_stops_it_unless_told_otherwise(lab: RunningLab, ec2: Any, source: str) -> None:
    before = ssh(lab, ec2, source, "cat /proc/1/stat | cut -d' ' -f22")
    made = ec2.create_image(InstanceId=source, Name="rebooted")["ImageId"]
    available(ec2, made)
    wait_for("status ok", lambda: status(ec2, source) == "ok" and _answers(lab, ec2, source))
    assert ssh(lab, ec2, source, "cat /proc/1/stat | cut -d' ' -f22") != before
    assert state(ec2, source) == "running"
    ec2.deregister_image(ImageId=made)


def _answers(lab: RunningLab, ec2: Any, instance_id: str) -> bool:
    return lab.command("ssh", "--direct", describe(ec2, instance_id)["PrivateIpAddress"], "true").returncode == 0


def test_an_encrypted_copy_in_the_other_region_boots_there(lab: RunningLab, ec2: Any, image: str) -> None:
    west, kms = lab.client("ec2", "us-west-2"), lab.client("kms", "us-west-2")
    copy = west.copy_image(
        SourceImageId=image,
        SourceRegion="us-east-1",
        Name="tested-image",
        Encrypted=True,
        KmsKeyId="alias/fleet-ebs",
        CopyImageTags=True,
    )["ImageId"]
    found = available(west, copy)
    ebs = found["BlockDeviceMappings"][0]["Ebs"]
    snapshot = west.describe_snapshots(SnapshotIds=[ebs["SnapshotId"]])["Snapshots"][0]
    assert ebs["Encrypted"] and snapshot["Encrypted"]
    assert snapshot["KmsKeyId"] == kms.describe_key(KeyId="alias/fleet-ebs")["KeyMetadata"]["Arn"]
    assert found["Tags"] == [{"Key": "Application", "Value": "ecommerce-web"}]
    assert (found["SourceImageId"], found["ImdsSupport"]) == (image, "v2.0")
    made = launch(west, ImageId=copy)
    wait_for("status ok", lambda: status(west, made) == "ok")
    assert ssh(lab, west, made, "cat /etc/baked") == "baked"
    volume = describe(west, made)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert west.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Encrypted"]
    west.terminate_instances(InstanceIds=[made])
    west.deregister_image(ImageId=copy)


def test_a_copy_without_copied_tags_has_none_and_one_without_a_key_the_default(
    lab: RunningLab, ec2: Any, image: str
) -> None:
    west = lab.client("ec2", "us-west-2")
    copy = west.copy_image(SourceImageId=image, SourceRegion="us-east-1", Name="untagged", Encrypted=True)["ImageId"]
    found = available(west, copy)
    assert not found.get("Tags")
    snapshot = west.describe_snapshots(SnapshotIds=[found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]])["Snapshots"][
        0
    ]
    assert ":us-west-2:" in snapshot["KmsKeyId"]
    west.deregister_image(ImageId=copy)


def test_a_copy_with_an_unknown_key_fails_and_says_so(lab: RunningLab, ec2: Any, image: str) -> None:
    west, kms = lab.client("ec2", "us-west-2"), lab.client("kms", "us-east-1")
    foreign = kms.describe_key(KeyId="alias/fleet-ebs")["KeyMetadata"]["Arn"]
    for key in ("alias/nobody", foreign):
        copy = west.copy_image(
            SourceImageId=image, SourceRegion="us-east-1", Name="bad-key", Encrypted=True, KmsKeyId=key
        )["ImageId"]
        wait_for("end of pending", partial(_ended, west, copy))
        assert find(west, copy)["State"] == "failed"
        assert "not accessible" in find(west, copy)["StateReason"]["Message"]
        assert code_of(launch, ec2=west, ImageId=copy) == "InvalidAMIID.Unavailable"
        west.deregister_image(ImageId=copy)
    assert code_of(
        west.copy_image, SourceImageId=image, SourceRegion="us-east-1", Name="x-y-z", KmsKeyId="alias/fleet-ebs"
    ) == "InvalidParameterDependency"  # fmt: skip


def test_a_full_disk_fails_the_image_and_leaves_nothing_of_it(lab: RunningLab, ec2: Any, source: str) -> None:
    """A file system of the test's own, with too little room, lies over the place of the layers."""
    layers = lab.settings.images_dir / "layers"
    before = sorted(layers.iterdir())
    with Full(layers):
        made = ec2.create_image(InstanceId=source, Name="too-big", NoReboot=True)["ImageId"]
        wait_for("failed", lambda: find(ec2, made)["State"] == "failed")
    found = find(ec2, made)
    assert "free" in found["StateReason"]["Message"]
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "error"
    assert sorted(layers.iterdir()) == before
    ec2.deregister_image(ImageId=made)
    again = ec2.create_image(InstanceId=source, Name="too-big", NoReboot=True)["ImageId"]
    available(ec2, again)
    ec2.deregister_image(ImageId=again)


class Full:
    """Fills the file system of a small tmpfs that is mounted over a directory, where the daemon sees it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "full", str(self._directory)], check=True)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self._directory)], check=True)


def test_attributes_of_an_image_are_changed_and_shown(ec2: Any, image: str) -> None:
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "the web image"})
    assert find(ec2, image)["Description"] == "the web image"
    shown = ec2.describe_image_attribute(ImageId=image, Attribute="imdsSupport")
    assert shown["ImdsSupport"] == {"Value": "v2.0"}
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "123456789012"}]})
    permissions = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
    assert permissions == [{"UserId": "123456789012"}]
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt="2030-01-01T00:00:00Z")
    assert find(ec2, image)["DeprecationTime"].startswith("2030-01-01")
    ec2.disable_image_deprecation(ImageId=image)
    assert "DeprecationTime" not in find(ec2, image)


def test_images_of_amazon_are_not_the_accounts_to_change(ec2: Any) -> None:
    base = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    assert code_of(ec2.deregister_image, ImageId=base) == "AuthFailure"
    assert code_of(ec2.modify_image_attribute, ImageId=base, Description={"Value": "x"}) == "AuthFailure"


def test_a_deregistered_image_goes_from_disk_but_not_under_a_running_instance(
    lab: RunningLab, ec2: Any, source: str
) -> None:
    made = ec2.create_image(InstanceId=source, Name="short-lived", NoReboot=True)["ImageId"]
    available(ec2, made)
    instance = launch(ec2, ImageId=made)
    wait_for("status ok", lambda: status(ec2, instance) == "ok")
    layers = lab.settings.images_dir / "layers"
    stored = len(list(layers.iterdir()))
    ec2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    record = lab.settings.images_dir / "by-id" / f"{made}.json"
    wait_for("removal of the image", lambda: not record.exists())
    assert ssh(lab, ec2, instance, "cat /etc/baked") == "baked"
    second = ec2.create_image(InstanceId=instance, Name="from-an-orphan", NoReboot=True)["ImageId"]
    available(ec2, second)
    ec2.terminate_instances(InstanceIds=[instance])
    wait_for("terminated", lambda: state(ec2, instance) == "terminated")
    again = launch(ec2, ImageId=second)
    wait_for("status ok", lambda: status(ec2, again) == "ok")
    assert ssh(lab, ec2, again, "cat /etc/baked") == "baked"
    ec2.terminate_instances(InstanceIds=[again])
    wait_for("terminated", lambda: state(ec2, again) == "terminated")
    ec2.deregister_image(ImageId=second)
    wait_for("free disk", lambda: len(list(layers.iterdir())) < stored)
