"""EC2 as AWS documents it, on real machines: states, launches, addresses, metadata options."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from lab.cloud.ec2.addresses import mac_for
from lab.cloud.ec2.instance_records import matches_filter
from lab.cloud.ec2.metadata import metadata_options
from tests.support.ec2 import base_image, code_of, describe, launch, leader, ssh, state, status, subnets
from tests.support.running_lab import RunningLab
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def instance(lab: RunningLab, ec2: Any) -> Iterator[str]:
    """One running instance for tests that leave it running."""
    made = launch(ec2, UserData="#!/bin/sh\necho once >> /root/user-data\n")
    wait_for("instance status ok", lambda: status(ec2, made) == "ok")
    yield made
    ec2.terminate_instances(InstanceIds=[made])


def test_a_launched_instance_goes_from_pending_to_running_to_reachable(lab: RunningLab, ec2: Any) -> None:
    made = launch(ec2)
    assert state(ec2, made) in ("pending", "running")
    wait_for("running", lambda: state(ec2, made) == "running", every=0.02)
    assert status(ec2, made) in ("initializing", "ok")
    wait_for("status ok", lambda: status(ec2, made) == "ok")
    ec2.terminate_instances(InstanceIds=[made])
    wait_for("terminated", lambda: state(ec2, made) == "terminated")
    gone = describe(ec2, made)
    assert "PrivateIpAddress" not in gone
    assert gone["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert not (lab.settings.machines_dir / made).exists()
    assert code_of(ec2.start_instances, InstanceIds=[made]) == "IncorrectInstanceState"


def test_user_data_runs_once_and_a_disk_survives_stop_and_start(lab: RunningLab, ec2: Any, instance: str) -> None:
    address = describe(ec2, instance)["PrivateIpAddress"]
    assert ssh(lab, ec2, instance, "sudo touch /kept; sudo cat /root/user-data") == "once"
    ec2.stop_instances(InstanceIds=[instance])
    assert state(ec2, instance) in ("stopping", "stopped")
    wait_for("stopped", lambda: state(ec2, instance) == "stopped")
    assert status(ec2, instance) == ""
    ec2.start_instances(InstanceIds=[instance])
    wait_for("status ok", lambda: status(ec2, instance) == "ok")
    assert describe(ec2, instance)["PrivateIpAddress"] == address
    assert ssh(lab, ec2, instance, "ls /kept; sudo cat /root/user-data") == "/kept\nonce"


def test_a_reboot_restarts_the_machine_and_leaves_the_instance_running(
    lab: RunningLab, ec2: Any, instance: str
) -> None:
    before = leader(lab, instance)
    ec2.reboot_instances(InstanceIds=[instance])

    def rebooted() -> bool:
        assert state(ec2, instance) == "running"
        try:
            return leader(lab, instance) != before
        except (pytest.fail.Exception, StopIteration):
            return False

    wait_for("another first process", rebooted)
    wait_for("status ok", lambda: status(ec2, instance) == "ok")


@pytest.mark.parametrize(("behaviour", "end"), [("stop", "stopped"), ("terminate", "terminated")])
def test_poweroff_inside_does_what_the_shutdown_behaviour_says(
    lab: RunningLab, ec2: Any, behaviour: str, end: str
) -> None:
    made = launch(ec2, InstanceInitiatedShutdownBehavior=behaviour)
    wait_for("status ok", lambda: status(ec2, made) == "ok")
    lab.command("ssh", "--direct", describe(ec2, made)["PrivateIpAddress"], "sudo systemctl poweroff")
    wait_for(end, lambda: state(ec2, made) == end)
    assert describe(ec2, made)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    ec2.terminate_instances(InstanceIds=[made])


def test_a_crashed_machine_stays_running_but_impaired_until_it_is_rebooted(lab: RunningLab, ec2: Any) -> None:
    made = launch(ec2)
    wait_for("status ok", lambda: status(ec2, made) == "ok")
    subprocess.run(["kill", "-KILL", str(leader(lab, made))], check=True)
    wait_for("impaired", lambda: status(ec2, made) == "impaired")
    assert state(ec2, made) == "running"
    ec2.reboot_instances(InstanceIds=[made])
    wait_for("status ok", lambda: status(ec2, made) == "ok")
    ec2.terminate_instances(InstanceIds=[made])


def test_a_repeated_request_gets_the_instances_of_the_first(ec2: Any) -> None:
    first, second = launch(ec2, ClientToken="token-1"), launch(ec2, ClientToken="token-1")
    assert first == second
    ec2.terminate_instances(InstanceIds=[first])


def test_what_cannot_be_launched_is_refused_and_leaves_nothing(ec2: Any) -> None:
    before = len(ec2.describe_instances()["Reservations"])
    disk = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 10}}]
    small = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]
    for arguments, code in (
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"SubnetId": "subnet-0000"}, "InvalidSubnetID.NotFound"),
        ({"BlockDeviceMappings": disk}, "UnsupportedOperation"),
        ({"BlockDeviceMappings": small}, "InvalidBlockDeviceMapping"),
        ({"PrivateIpAddress": "10.0.200.1"}, "InvalidParameterValue"),
        ({"InstanceMarketOptions": {"MarketType": "spot"}}, "UnsupportedOperation"),
    ):
        assert code_of(launch, ec2=ec2, **arguments) == code
    assert len(ec2.describe_instances()["Reservations"]) == before


def test_no_address_is_given_twice_even_across_regions(lab: RunningLab, ec2: Any) -> None:
    west = lab.client("ec2", "us-west-2")
    image = ec2.run_instances(MinCount=1, MaxCount=3, ImageId=base_image(ec2), SubnetId=subnets(ec2)["us-east-1b"])
    other = west.run_instances(MinCount=2, MaxCount=2, ImageId=base_image(west), SubnetId=subnets(west)["us-west-2b"])
    made = [*image["Instances"], *other["Instances"]]
    assert len(made) == 5
    assert len({i["PrivateIpAddress"] for i in made}) == 5
    for one in made:
        assert one["NetworkInterfaces"][0]["MacAddress"] == mac_for(one["PrivateIpAddress"])
    ec2.terminate_instances(InstanceIds=[i["InstanceId"] for i in image["Instances"]])
    west.terminate_instances(InstanceIds=[i["InstanceId"] for i in other["Instances"]])


def test_an_instance_follows_its_launch_template_version(lab: RunningLab, ec2: Any) -> None:
    data = {
        "ImageId": base_image(ec2),
        "InstanceType": "t3.small",
        "KeyName": "lab",
        "IamInstanceProfile": {"Name": "fleet-web"},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
        "TagSpecifications": [
            {
                "ResourceType": "instance",
                "Tags": [{"Key": "Role", "Value": "web"}, {"Key": "Name", "Value": "template"}],
            },
            {"ResourceType": "volume", "Tags": [{"Key": "Role", "Value": "web"}]},
        ],
    }
    template = ec2.create_launch_template(LaunchTemplateName="versions", LaunchTemplateData=data)["LaunchTemplate"]
    ec2.create_launch_template_version(
        LaunchTemplateId=template["LaunchTemplateId"],
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "t3.medium"},
    )
    subnet = subnets(ec2)["us-east-1a"]
    for version, number, kind in (("$Latest", "2", "t3.medium"), ("$Default", "1", "t3.small"), ("1", "1", "t3.small")):
        made = ec2.run_instances(
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            LaunchTemplate={"LaunchTemplateName": "versions", "Version": version},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "request"}]}],
        )["Instances"][0]["InstanceId"]
        found = describe(ec2, made)
        tags = {t["Key"]: t["Value"] for t in found["Tags"]}
        assert found["InstanceType"] == kind
        assert (tags["Role"], tags["Name"], tags["aws:ec2launchtemplate:version"]) == ("web", "request", number)
        assert found["IamInstanceProfile"]["Arn"].endswith("/fleet-web")
        assert found["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert found["MetadataOptions"]["InstanceMetadataTags"] == "enabled"
        volume = ec2.describe_volumes(VolumeIds=[found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"][0]
        assert {"Key": "Role", "Value": "web"} in volume["Tags"]
        ec2.terminate_instances(InstanceIds=[made])
    ec2.delete_launch_template(LaunchTemplateName="versions")


def test_filters_of_the_inventory_find_what_they_name(ec2: Any, instance: str) -> None:
    ec2.create_tags(Resources=[instance], Tags=[{"Key": "Application", "Value": "ecommerce-web"}])
    for name, value in (
        ("tag:Application", "ecommerce-*"),
        ("tag-key", "Application"),
        ("instance-state-name", "running"),
        ("availability-zone", "us-east-1?"),
        ("key-name", "lab"),
        ("image-id", base_image(ec2)),
        ("metadata-options.http-tokens", "required"),
        ("instance-state-code", "16"),
        ("network-interface.addresses.private-ip-address", describe(ec2, instance)["PrivateIpAddress"]),
    ):
        found = ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}])["Reservations"]
        assert instance in {i["InstanceId"] for r in found for i in r["Instances"]}, name


def test_the_console_is_the_machines_own(ec2: Any, instance: str) -> None:
    assert "systemd" in ec2.get_console_output(InstanceId=instance)["Output"]


def test_metadata_options_of_request_template_and_image_in_this_order() -> None:
    required = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    assert metadata_options({}, {}, None) == {}
    assert metadata_options({}, {}, "v2.0") == required
    assert metadata_options({}, {"HttpPutResponseHopLimit": 3}, "v2.0") == {**required, "HttpPutResponseHopLimit": 3}
    assert metadata_options({"HttpTokens": "optional"}, {"HttpTokens": "required"}, "v2.0")["HttpTokens"] == "optional"


def test_metadata_options_change_only_what_is_named(ec2: Any, instance: str) -> None:
    before = describe(ec2, instance)["MetadataOptions"]
    ec2.modify_instance_metadata_options(InstanceId=instance, HttpPutResponseHopLimit=5)
    assert describe(ec2, instance)["MetadataOptions"] == {**before, "HttpPutResponseHopLimit": 5}


@pytest.mark.parametrize(
    ("value", "patterns", "matching"),
    [
        ("web-1", ["web-*"], True),
        ("web-1", ["web-??"], False),
        ("Web", ["web"], False),
        (True, ["true"], True),
        (None, ["*"], False),
        (["a", "b"], ["b"], True),
        (16, ["16"], True),
    ],
)
def test_filter_values_are_wildcards_over_any_of_them(value: Any, patterns: list[str], matching: bool) -> None:
    assert matches_filter(value, patterns) is matching
