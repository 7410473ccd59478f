"""An instance's metadata, from the EC2 records."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from moto.ec2.models import ec2_backends

from lab.cloud.reconciler import lock
from lab.metadata.tree import InstanceMetadata


def metadata_options(
    request: Mapping[str, Any], template: Mapping[str, Any], imds_support: str | None
) -> dict[str, Any]:
    """The options of a new instance: the request's, then the launch template's, then the image's (`v2.0` requires tokens
    and allows two hops), then EC2's defaults (User Guide, "Order of precedence for instance metadata options")."""
    from_image = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2} if imds_support == "v2.0" else {}
    given = [{k: v for k, v in source.items() if v not in (None, "")} for source in (from_image, template, request)]
    return {**given[0], **given[1], **given[2]}


def metadata_for(address: str) -> InstanceMetadata | None:
    """The metadata of the instance that has this address on the wire, or None. Takes the records' lock."""
    with lock:
        for account_id, region, backend in list(ec2_backends.iter_backends()):
            for reservation in list(backend.reservations.values()):
                for instance in reservation.instances:
                    if instance.state not in ("terminated", "stopped") and instance.private_ip == address:
                        return _describe(account_id, region, backend, reservation, instance)
    return None


def _describe(account_id: str, region: str, backend: Any, reservation: Any, instance: Any) -> InstanceMetadata:
    options, primary = instance.metadata_options, instance.nics[0]
    key = backend.key_pairs.get(instance.key_name) if instance.key_name else None
    profile = instance.iam_instance_profile if isinstance(instance.iam_instance_profile, dict) else {}
    shows_tags = options.instance_metadata_tags == "enabled"
    return InstanceMetadata(
        instance_id=instance.id,
        image_id=instance.image_id,
        instance_type=instance.instance_type,
        region=region,
        zone=instance.placement.zone,
        account_id=account_id,
        address=instance.private_ip,
        mac=primary.mac_address,
        hostname=instance.private_dns_name,
        subnet_id=instance.subnet_id,
        vpc_id=instance.vpc_id,
        security_groups=tuple(group.name for group in primary.group_set),
        launch_index=int(instance.ami_launch_index),
        reservation_id=reservation.id,
        user_data=base64.b64decode(str(instance.user_data)) if instance.user_data else None,
        key_name=instance.key_name,
        public_key=key.public_key if key else None,
        profile_arn=profile.get("Arn"),
        profile_id=profile.get("Id"),
        role_names=tuple(instance.iam_role_names),
        enabled=options.http_endpoint == "enabled",
        tokens_required=options.http_tokens == "required",
        hop_limit=int(options.http_put_response_hop_limit),
        tags={tag["key"]: tag["value"] for tag in instance.get_tags()} if shows_tags else None,
    )
