"""What a fresh account of a running lab has, asked through the API."""

from __future__ import annotations

import ipaddress
import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud import account
from lab.settings import ACCOUNT_ID, REGIONS
from tests.support.running_lab import RunningLab

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_has_one_vpc_with_hosts_and_balancer_subnets_in_three_zones(lab: RunningLab, region: str) -> None:
    ec2 = lab.client("ec2", region)
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    assert {t["Key"]: t["Value"] for t in vpc["Tags"]}["Name"] == "fleet"
    for tier in ("app", "public"):
        subnets = ec2.describe_subnets(Filters=[{"Name": "tag:Tier", "Values": [tier]}])["Subnets"]
        assert {s["AvailabilityZone"] for s in subnets} == {f"{region}{letter}" for letter in "abc"}


def test_no_address_is_in_two_subnets_of_any_region(lab: RunningLab) -> None:
    ranges = [
        ipaddress.ip_network(subnet["CidrBlock"])
        for region in REGIONS
        for subnet in lab.client("ec2", region).describe_subnets()["Subnets"]
    ]
    assert not [(a, b) for a, b in itertools.combinations(ranges, 2) if a.overlaps(b)]
    assert not any(ipaddress.ip_address("10.0.0.1") in cidr for cidr in ranges)


@pytest.mark.parametrize("region", REGIONS)
def test_the_public_parameters_name_amazons_images(lab: RunningLab, region: str) -> None:
    ec2, ssm = lab.client("ec2", region), lab.client("ssm", region)
    for os_name in lab.settings.oses:
        for name in account.IMAGE_PARAMETERS[os_name]:
            found = ssm.get_parameter(Name=f"{account.PARAMETER_PATH}/{name}")["Parameter"]["Value"]
            (image,) = ec2.describe_images(ImageIds=[found], Owners=["amazon"])["Images"]
            assert image["Name"] == account.IMAGE_NAMES[os_name]
            assert image["State"] == "available"
            assert "STAND-IN" in image["Description"]
            assert image["Architecture"] == account.ARCHITECTURE


def test_a_name_pattern_finds_the_newest_image_of_amazon(lab: RunningLab, ec2: Any) -> None:
    patterns = {"al2": "amzn2-ami-hvm-2.0.*-gp2", "al2023": "al2023-ami-2023.*-kernel-6.1-*"}
    for os_name in lab.settings.oses:
        found = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": [patterns[os_name]]}])
        assert [i["Name"] for i in found["Images"]] == [account.IMAGE_NAMES[os_name]]


def test_no_parameter_names_an_image_that_is_not_there(lab: RunningLab, ssm: Any, ec2: Any) -> None:
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=account.PARAMETER_PATH, Recursive=True)
    named = [p["Value"] for page in pages for p in page["Parameters"]]
    assert len(named) == 2 * len(lab.settings.oses)
    assert {i["ImageId"] for i in ec2.describe_images(Owners=["amazon"])["Images"]} == set(named)


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_has_a_rotated_key_for_volumes(lab: RunningLab, region: str) -> None:
    kms = lab.client("kms", region)
    key = kms.describe_key(KeyId="alias/fleet-ebs")["KeyMetadata"]
    assert key["Enabled"]
    assert region in key["Arn"]
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]


@pytest.mark.parametrize("region", REGIONS)
def test_the_key_pair_is_the_labs_ssh_key(lab: RunningLab, region: str) -> None:
    (pair,) = lab.client("ec2", region).describe_key_pairs(KeyNames=["lab"], IncludePublicKey=True)["KeyPairs"]
    own = lab.settings.ssh_key.with_name("id_ed25519.pub").read_text().split()[1]
    assert own in pair["PublicKey"]


def test_there_is_a_role_for_hosts_and_a_versioned_bucket(lab: RunningLab) -> None:
    profile = lab.client("iam").get_instance_profile(InstanceProfileName="fleet-web")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["fleet-web"]
    bucket = lab.client("s3").get_bucket_versioning(Bucket=f"fleet-artifacts-{ACCOUNT_ID}")
    assert bucket["Status"] == "Enabled"


def test_the_web_group_takes_http_from_the_balancers_group_only(ec2: Any) -> None:
    groups = {
        g["GroupName"]: g
        for g in ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["web", "alb"]}])[
            "SecurityGroups"
        ]
    }
    http = next(p for p in groups["web"]["IpPermissions"] if p["FromPort"] == 80)
    assert [pair["GroupId"] for pair in http["UserIdGroupPairs"]] == [groups["alb"]["GroupId"]]
    assert http["IpRanges"] == []


def test_the_labs_key_is_a_user_of_the_labs_account(lab: RunningLab) -> None:
    who = lab.client("sts").get_caller_identity()
    assert who["Account"] == ACCOUNT_ID
    assert who["Arn"].endswith(":user/lab")


def test_an_assumed_roles_credentials_are_accepted_and_say_whose_they_are(lab: RunningLab) -> None:
    sts = lab.client("sts")
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/fleet-web"
    given = sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    own = lab.client(
        "sts", access_key=given["AccessKeyId"], secret=given["SecretAccessKey"], token=given["SessionToken"]
    )
    assert own.get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/fleet-web/me"
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=role + "-unknown", RoleSessionName="me")


def test_a_secure_parameter_is_encrypted_with_the_key_that_was_asked_for(ssm: Any) -> None:
    name = "/test/account/secret"
    ssm.put_parameter(Name=name, Value="open sesame", Type="SecureString", KeyId="alias/fleet-ebs", Overwrite=True)
    sealed = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    assert "sesame" not in sealed
    assert ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "open sesame"
    with pytest.raises(ClientError, match="InvalidKeyId"):
        ssm.put_parameter(Name="/test/account/none", Value="x", Type="SecureString", KeyId="alias/none")
    ssm.delete_parameter(Name=name)


def test_parameter_versions_count_and_stay_readable(ssm: Any) -> None:
    name = "/test/account/version"
    versions = [ssm.put_parameter(Name=name, Value=v, Type="String", Overwrite=True)["Version"] for v in ("a", "b")]
    assert versions == [1, 2]
    assert ssm.get_parameter(Name=f"{name}:1")["Parameter"]["Value"] == "a"
    assert [p["Value"] for p in ssm.get_parameter_history(Name=name)["Parameters"]] == ["a", "b"]
    with pytest.raises(ClientError, match="ParameterAlreadyExists"):
        ssm.put_parameter(Name=name, Value="c", Type="String")
    ssm.delete_parameter(Name=name)


@pytest.mark.parametrize(
    ("value", "options", "error"),
    [
        ("x" * 4097, {}, "maximum parameter value of 4096"),
        ("x" * 8193, {"Tier": "Advanced"}, "maximum parameter value of 8192"),
        ("b", {"AllowedPattern": "^a$"}, "ParameterPatternMismatchException"),
        ("b", {"Policies": "[]"}, "advanced tier"),
    ],
)
def test_a_parameter_that_aws_would_refuse_is_refused(
    ssm: Any, value: str, options: dict[str, str], error: str
) -> None:
    with pytest.raises(ClientError, match=error):
        ssm.put_parameter(Name="/test/account/refused", Value=value, Type="String", **options)
