"""Instances and credentials for tests of the metadata service that have no EC2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.metadata.tree import InstanceMetadata, RoleCredentials


@dataclass(frozen=True)
class Instance(InstanceMetadata):
    """An instance of tests that have no EC2."""

    instance_id: str = "i-0123456789abcdef0"
    image_id: str = "ami-0123456789abcdef0"
    instance_type: str = "t3.medium"
    region: str = "us-east-1"
    zone: str = "us-east-1b"
    account_id: str = "000000000000"
    address: str = "10.0.32.7"
    mac: str = "0a:00:0a:00:20:07"
    hostname: str = "ip-10-0-32-7.ec2.internal"
    subnet_id: str = "subnet-1"
    vpc_id: str = "vpc-1"
    security_groups: tuple[str, ...] = ("web", "ssh")
    launch_index: int = 0
    reservation_id: str = "r-1"
    user_data: bytes | None = b"#!/bin/sh\necho \xff\n"
    key_name: str | None = "lab"
    public_key: str | None = "ssh-ed25519 AAAA lab"
    profile_arn: str | None = "arn:aws:iam::000000000000:instance-profile/fleet-web"
    profile_id: str | None = "AIPA1"
    role_names: tuple[str, ...] = ("fleet-web",)
    enabled: bool = True
    tokens_required: bool = True
    hop_limit: int = 2
    tags: Mapping[str, str] | None = None


def issue(meta: InstanceMetadata, role: str) -> RoleCredentials:
    now = datetime.now(UTC)
    return RoleCredentials(f"ASIA-{role}", "secret", "session", now, now + timedelta(hours=6))


def instance_at(address: str) -> Instance:
    """An instance whose id, names and MAC address follow from its address."""
    dashed = address.replace(".", "-")
    mac = "0a:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    return Instance(
        instance_id=f"i-{dashed}", address=address, hostname=f"ip-{dashed}.ec2.internal", mac=mac, user_data=None
    )
