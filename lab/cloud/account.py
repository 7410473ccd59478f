"""What a fresh account of the lab has in it: network, keys, role, bucket and Amazon's public base images.

Written straight into moto's records, before the API listens. Everything but the base images and the public parameters
could have been made by a person through the API.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.backends import get_backend

from lab.cloud.ec2.image_records import register_base
from lab.cloud.ssm.parameter_records import LabParameter
from lab.errors import LabError
from lab.imports import catalog
from lab.settings import ACCOUNT_ID, DEFAULT_REGION, REGIONS, OperatingSystem, Settings

VPC_NAME = "fleet"
VPC_CIDR = "10.0.0.0/16"
SUBNETS: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "us-east-1": {
        "app": (("a", "10.0.16.0/20"), ("b", "10.0.32.0/20"), ("c", "10.0.48.0/20")),
        "public": (("a", "10.0.4.0/22"), ("b", "10.0.8.0/22"), ("c", "10.0.12.0/22")),
    },
    "us-west-2": {
        "app": (("a", "10.0.144.0/20"), ("b", "10.0.160.0/20"), ("c", "10.0.176.0/20")),
        "public": (("a", "10.0.132.0/22"), ("b", "10.0.136.0/22"), ("c", "10.0.140.0/22")),
    },
}
"""Per region and tier: zone letter and range. No address twice: the regions share one wire."""

KEY_PAIR = "lab"
KMS_ALIAS = "alias/fleet-ebs"
ROLE = "fleet-web"
BUCKET = f"fleet-artifacts-{ACCOUNT_ID}"
AMAZON_ACCOUNT = "137112412989"
"""The account that owns Amazon Linux images on AWS."""

ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
IMAGE_NAMES: dict[OperatingSystem, str] = {
    "al2": f"amzn2-ami-hvm-2.0.20261105.0-{ARCHITECTURE}-gp2",
    "al2023": f"al2023-ami-2023.9.20261110.0-kernel-6.1-{ARCHITECTURE}",
}
IMAGE_PARAMETERS: dict[OperatingSystem, tuple[str, ...]] = {
    "al2": (f"amzn2-ami-hvm-{ARCHITECTURE}-gp2", f"amzn2-ami-kernel-5.10-hvm-{ARCHITECTURE}-gp2"),
    "al2023": (f"al2023-ami-kernel-default-{ARCHITECTURE}", f"al2023-ami-kernel-6.1-{ARCHITECTURE}"),
}
PARAMETER_PATH = "/aws/service/ami-amazon-linux-latest"

ROLE_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ROLE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "SystemsManager",
            "Effect": "Allow",
            "Action": ["ssm:UpdateInstanceInformation", "ssm:GetDocument", "ec2messages:*"],
            "Resource": "*",
        },
        {
            "Sid": "CloudWatch",
            "Effect": "Allow",
            "Action": [
                "cloudwatch:PutMetricData",
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
                "logs:PutRetentionPolicy",
            ],
            "Resource": "*",
        },
        {
            # The release at boot, and the application's values.
            "Sid": "Values",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParametersByPath", "secretsmanager:GetSecretValue", "kms:Decrypt"],
            "Resource": "*",
        },
        {
            # Its SSH host keys.
            "Sid": "HostKeys",
            "Effect": "Allow",
            "Action": ["ssm:PutParameter", "ssm:AddTagsToResource"],
            "Resource": "arn:aws:ssm:*:*:parameter/fleet/host-keys/*",
        },
        {"Sid": "Artifacts", "Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"},
    ],
}


def base_image_id(region: str, os_name: OperatingSystem) -> str:
    """The id of Amazon's image of an operating system in a region: the same in every lab."""
    return "ami-" + hashlib.sha256(f"{region}/{IMAGE_NAMES[os_name]}".encode()).hexdigest()[:17]


def base_images(settings: Settings) -> Iterator[tuple[str, OperatingSystem, str]]:
    """(region, operating system, image id) of every base image: what the image store has to know before a launch."""
    for region in REGIONS:
        for os_name in settings.oses:
            yield region, os_name, base_image_id(region, os_name)


def seed(settings: Settings) -> None:
    """Fills the account. Once per process, after every service's `install` and before the API answers."""
    public_key = _public_key(settings)
    for region in REGIONS:
        _network(region)
        backend("ec2", region).import_key_pair(KEY_PAIR, public_key.encode(), {})
        _encryption_key(region)
    for region, os_name, image_id in base_images(settings):
        name = IMAGE_NAMES[os_name]
        register_base(region, image_id, name, _description(settings, os_name), AMAZON_ACCOUNT)
        backend("ec2", region).amis[image_id].architecture = ARCHITECTURE
        _public_parameters(region, os_name, image_id)
    _role()
    _bucket()


def _description(settings: Settings, os_name: OperatingSystem) -> str:
    imported = catalog.chosen(settings).get(os_name)
    if imported is not None:
        return f"{imported.release}, imported from {imported.source}"
    return f"STAND-IN for Amazon Linux ({IMAGE_NAMES[os_name]}): not made by Amazon"


def backend(service: str, region: str) -> Any:
    return get_backend(service)[ACCOUNT_ID][region]


def _public_key(settings: Settings) -> str:
    public = settings.ssh_key.with_name(settings.ssh_key.name + ".pub")
    try:
        return public.read_text().strip()
    except OSError as error:
        raise LabError(
            f"Reading the lab's public SSH key {public}: {error.strerror}", hint="Run `lab down` and `lab up`."
        ) from error


def _network(region: str) -> None:
    ec2 = backend("ec2", region)
    _remove_default_network(ec2)
    vpc = ec2.create_vpc(VPC_CIDR, tags=[{"Key": "Name", "Value": VPC_NAME}])
    vpc.enable_dns_hostnames = "true"
    gateway = ec2.create_internet_gateway(tags=[{"Key": "Name", "Value": VPC_NAME}])
    ec2.attach_internet_gateway(gateway.id, vpc.id)
    for tier, zones in SUBNETS[region].items():
        table = ec2.create_route_table(vpc.id, tags=[{"Key": "Name", "Value": f"{VPC_NAME}-{tier}"}])
        if tier == "public":
            ec2.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)
        for letter, cidr in zones:
            tags = {"subnet": {"Name": f"{tier}-{region}{letter}", "Tier": tier}}
            subnet = ec2.create_subnet(vpc.id, cidr, availability_zone=f"{region}{letter}", tags=tags)
            subnet.default_for_az = subnet.map_public_ip_on_launch = False
            ec2.associate_route_table(table.id, subnet_id=subnet.id)
    _security_groups(ec2, vpc.id)


def _remove_default_network(ec2: Any) -> None:
    """There is none here, as in many companies' accounts: its addresses (172.31.0.0/16) are not on the lab's wire."""
    default = ec2.get_default_vpc()
    for subnet in ec2.describe_subnets(filters={"vpc-id": default.id}):
        ec2.delete_subnet(subnet.id)
    ec2.delete_vpc(default.id)


def _security_groups(ec2: Any, vpc_id: str) -> None:
    """Records only: there is one wire and no packet filter, so these rules are not enforced."""
    balancer = ec2.create_security_group(
        "alb", "Load balancer: HTTP and HTTPS from anywhere", vpc_id=vpc_id, tags={"Name": "alb"}
    )
    web = ec2.create_security_group(
        "web", "Web hosts: HTTP from the load balancer, SSH from inside", vpc_id=vpc_id, tags={"Name": "web"}
    )
    for port in ("80", "443"):
        ec2.authorize_security_group_ingress(
            balancer.id, "tcp", port, port, ip_ranges=[{"CidrIp": "0.0.0.0/0"}], vpc_id=vpc_id
        )
    ec2.authorize_security_group_ingress(
        web.id, "tcp", "80", "80", ip_ranges=[], source_groups=[{"GroupId": balancer.id}], vpc_id=vpc_id
    )
    ec2.authorize_security_group_ingress(web.id, "tcp", "22", "22", ip_ranges=[{"CidrIp": VPC_CIDR}], vpc_id=vpc_id)


def _encryption_key(region: str) -> None:
    kms = backend("kms", region)
    key = kms.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "Volumes and images of the fleet", [])
    kms.enable_key_rotation(key.id)
    kms.create_alias(key.id, KMS_ALIAS)


def _public_parameters(region: str, os_name: OperatingSystem, image_id: str) -> None:
    """Parameter Store's public parameters that name the latest image (moto's own name images that nobody has here)."""
    parameters = backend("ssm", region)._parameters
    parameters.latest_amis_loaded = parameters.latest_ecs_amis_loaded = True
    released = re.search(r"\.(\d{8})\.", IMAGE_NAMES[os_name])
    assert released is not None, IMAGE_NAMES  # noqa: S101
    for name in IMAGE_PARAMETERS[os_name]:
        full = f"{PARAMETER_PATH}/{name}"
        parameters[full] = [
            LabParameter(
                account_id="",
                name=full,
                value=image_id,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=datetime.strptime(released[1], "%Y%m%d").replace(tzinfo=UTC),
                version=1,
                data_type="aws:ec2:image",
                tier="Standard",
            )
        ]


def _role() -> None:
    iam = backend("iam", "aws")
    iam.create_role(
        role_name=ROLE,
        assume_role_policy_document=json.dumps(ROLE_TRUST),
        path="/",
        permissions_boundary=None,
        description="Web hosts: Systems Manager, CloudWatch, artifacts",
        tags=[],
        max_session_duration="3600",
    )
    iam.put_role_policy(ROLE, "fleet-web", json.dumps(ROLE_POLICY))
    iam.create_instance_profile(name=ROLE, path="/", role_names=[ROLE])


def _bucket() -> None:
    s3 = backend("s3", "aws")
    s3.create_bucket(BUCKET, DEFAULT_REGION)
    s3.put_bucket_versioning(BUCKET, "Enabled")
