"""What instance metadata contains: paths and their texts (EC2 User Guide, "Instance metadata categories")."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from lab.settings import GATEWAY, PREFIX_LENGTH

VERSIONS = ("1.0", "2009-04-04", "2012-01-12", "2016-09-02", "2018-09-24", "2020-10-27", "2021-03-23", "latest")
TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class InstanceMetadata:
    """One instance, as its metadata service shows it. `hop_limit` is that of the PUT response; `tags` is None unless
    InstanceMetadataTags is enabled."""

    instance_id: str
    image_id: str
    instance_type: str
    region: str
    zone: str
    account_id: str
    address: str
    mac: str
    hostname: str
    subnet_id: str
    vpc_id: str
    security_groups: tuple[str, ...]
    launch_index: int
    reservation_id: str
    user_data: bytes | None
    key_name: str | None
    public_key: str | None
    profile_arn: str | None
    profile_id: str | None
    role_names: tuple[str, ...]
    enabled: bool
    tokens_required: bool
    hop_limit: int
    tags: Mapping[str, str] | None


@dataclass(frozen=True)
class RoleCredentials:
    """Temporary credentials of an instance's role."""

    access_key_id: str
    secret_access_key: str
    token: str
    issued: datetime
    expires: datetime


@dataclass(frozen=True)
class ManagedKeys:
    """What EC2 Instance Connect shows an instance (aws-ec2-instance-connect-config: eic_curl_authorized_keys reads it)."""

    active: Mapping[str, str]
    """Operating system's user → the signed keys that are valid now."""
    signer_certificate: str
    ocsp: Mapping[str, str]
    """SHA-1 fingerprint of a certificate → its OCSP answer, in base64."""


NO_KEYS = ManagedKeys({}, "", {})
Issue = Callable[[InstanceMetadata, str], RoleCredentials]


def read(meta: InstanceMetadata, path: str, issue: Issue, keys: ManagedKeys = NO_KEYS) -> bytes | None:
    """The text at a path such as `/latest/meta-data/instance-id`, a listing for a directory, None where there is nothing."""
    parts = [p for p in path.split("/") if p]
    if not parts:
        return "\n".join(VERSIONS).encode()
    if parts[0] not in VERSIONS and not re.fullmatch(r"\d{4}-\d\d-\d\d", parts[0]):
        return None
    name = "/".join(parts[1:])
    if name == "user-data":
        return meta.user_data or None
    leaves = _leaves(meta, issue, keys)
    if name in leaves:
        return leaves[name]().encode()
    return _listing(meta, name, leaves)


def _listing(meta: InstanceMetadata, directory: str, leaves: Mapping[str, object]) -> bytes | None:
    if directory == "meta-data/public-keys":
        return f"0={meta.key_name}".encode() if "meta-data/public-keys/0/openssh-key" in leaves else None
    prefix = f"{directory}/" if directory else ""
    below = {name[len(prefix) :] for name in leaves if name.startswith(prefix)}
    entries = sorted({name if "/" not in name else name.partition("/")[0] + "/" for name in below})
    if not directory:
        entries = [e.rstrip("/") for e in entries] + (["user-data"] if meta.user_data else [])
    return "\n".join(entries).encode() if entries else None


def _leaves(meta: InstanceMetadata, issue: Issue, keys: ManagedKeys) -> dict[str, Callable[[], str]]:
    """Every path below the version, without user-data."""
    texts = {
        "ami-id": meta.image_id,
        "ami-launch-index": str(meta.launch_index),
        "ami-manifest-path": "(unknown)",
        "hostname": meta.hostname,
        "instance-action": "none",
        "instance-id": meta.instance_id,
        "instance-life-cycle": "on-demand",
        "instance-type": meta.instance_type,
        "local-hostname": meta.hostname,
        "local-ipv4": meta.address,
        "mac": meta.mac,
        "placement/availability-zone": meta.zone,
        "placement/region": meta.region,
        "profile": "default-hvm",
        "reservation-id": meta.reservation_id,
        "security-groups": "\n".join(meta.security_groups),
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
        **{f"network/interfaces/macs/{meta.mac}/{name}": text for name, text in _interface(meta).items()},
        **{f"tags/instance/{name}": value for name, value in (meta.tags or {}).items()},
        **{f"managed-ssh-keys/active-keys/{user}": text for user, text in keys.active.items()},
        **{f"managed-ssh-keys/signer-ocsp/{name}": text for name, text in keys.ocsp.items()},
    }
    if keys.signer_certificate:
        texts["managed-ssh-keys/signer-cert"] = keys.signer_certificate
    if meta.public_key:
        texts["public-keys/0/openssh-key"] = meta.public_key.rstrip("\n") + "\n"
    leaves: dict[str, Callable[[], str]] = {f"meta-data/{name}": partial(str, text) for name, text in texts.items()}
    leaves["dynamic/instance-identity/document"] = lambda: _identity(meta)
    if meta.profile_arn:
        leaves["meta-data/iam/info"] = lambda: _profile(meta)
        for role in meta.role_names:
            leaves[f"meta-data/iam/security-credentials/{role}"] = partial(_credentials, meta, role, issue)
    return leaves


def _interface(meta: InstanceMetadata) -> dict[str, str]:
    network = f"{GATEWAY.rsplit('.', 2)[0]}.0.0/{PREFIX_LENGTH}"
    return {
        "device-number": "0",
        "local-hostname": meta.hostname,
        "local-ipv4s": meta.address,
        "mac": meta.mac,
        "owner-id": meta.account_id,
        "security-groups": "\n".join(meta.security_groups),
        "subnet-id": meta.subnet_id,
        "vpc-id": meta.vpc_id,
        "vpc-ipv4-cidr-block": network,
        "vpc-ipv4-cidr-blocks": network,
    }


def _identity(meta: InstanceMetadata) -> str:
    """Without a signature: nobody could check one against AWS's certificate."""
    return json.dumps(
        {
            "accountId": meta.account_id,
            "architecture": "x86_64",
            "availabilityZone": meta.zone,
            "imageId": meta.image_id,
            "instanceId": meta.instance_id,
            "instanceType": meta.instance_type,
            "privateIp": meta.address,
            "region": meta.region,
            "version": "2017-09-30",
        },
        indent=2,
    )


def _profile(meta: InstanceMetadata) -> str:
    return json.dumps(
        {
            "Code": "Success",
            "LastUpdated": datetime.now(UTC).strftime(TIME),
            "InstanceProfileArn": meta.profile_arn,
            "InstanceProfileId": meta.profile_id,
        },
        indent=2,
    )


def _credentials(meta: InstanceMetadata, role: str, issue: Issue) -> str:
    credentials = issue(meta, role)
    return json.dumps(
        {
            "Code": "Success",
            "LastUpdated": credentials.issued.strftime(TIME),
            "Type": "AWS-HMAC",
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.token,
            "Expiration": credentials.expires.strftime(TIME),
        },
        indent=2,
    )
