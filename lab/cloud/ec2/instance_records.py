"""EC2 instances as records that a reconciler drives.

moto answers every request as if it had already happened. Here a request only sets the desired state (`pending`,
`stopping`, `shutting-down`, `rebooting`); `lab.cloud.ec2.machines_part` moves it on when the machine really is so.
"""

from __future__ import annotations

import fnmatch
from copy import copy
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceState, MetadataOptions, Reservation, StateReason
from moto.ec2.utils import convert_tag_spec

from lab.cloud.ec2.addresses import mac_for
from lab.cloud.ec2.metadata import metadata_options

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
USER_SHUTDOWN = "Client.UserInitiatedShutdown"
GONE = ("shutting-down", "terminated")

EXTRA_FILTERS = {
    "instance-state-code": "state_code",
    "client-token": "client_token",
    "hypervisor": "hypervisor",
    "instance-lifecycle": "lifecycle",
    "iam-instance-profile.arn": "iam_instance_profile.Arn",
    "launch-index": "ami_launch_index",
    "metadata-options.http-tokens": "metadata_options.http_tokens",
    "metadata-options.http-endpoint": "metadata_options.http_endpoint",
    "metadata-options.instance-metadata-tags": "metadata_options.instance_metadata_tags",
    "metadata-options.state": "metadata_options.state",
    "monitoring-state": "monitoring_state",
    "network-interface.subnet-id": "subnet_id",
    "network-interface.vpc-id": "vpc_id",
    "network-interface.availability-zone": "placement.zone",
    "network-interface.addresses.private-ip-address": "private_ip",
    "root-device-name": "root_device_name",
    "root-device-type": "root_device_type",
    "tenancy": "placement.tenancy",
    "virtualization-type": "virtualization_type",
}


class LabInstance(Instance):
    """moto's record with the states between the desired and the actual one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.reachability = "initializing"
        self.reboot_requested = False
        self.launch_template_version: str | None = None
        super().__init__(*args, **kwargs)
        self.hypervisor = "xen"
        self.ena_support = True
        self.enter("pending")
        for nic in self.nics.values():
            nic.mac_address = mac_for(nic.private_ip_address)
            nic.delete_on_termination = True

    def enter(self, state: str, code: str = "", message: str = "") -> None:
        """Moves to a state; `code` and `message` are AWS's StateReason, empty while all is well."""
        self._state.name, self._state.code = state, CODES[state]
        self.state_reason = StateReason(message, code)
        self._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)" if code == USER_SHUTDOWN else message
        self.reachability = "initializing"

    def start(self) -> InstanceState:
        previous = copy(self._state)
        if self.state in ("pending", "running"):
            return previous
        if self.state != "stopped":
            raise incorrect_state(self.id, "started")
        self.launch_time = utcnow()
        self.enter("pending")
        return previous

    def stop(self) -> InstanceState:
        previous = copy(self._state)
        if self.state in GONE:
            raise incorrect_state(self.id, "stopped")
        if self.state in ("pending", "running"):
            self.enter("stopping", USER_SHUTDOWN, f"{USER_SHUTDOWN}: User initiated shutdown")
        return previous

    def terminate(self) -> InstanceState:
        previous = copy(self._state)
        if self.state not in GONE:
            self.enter("shutting-down", USER_SHUTDOWN, f"{USER_SHUTDOWN}: User initiated shutdown")
        return previous

    def reboot(self) -> None:
        if self.state != "running":
            raise incorrect_state(self.id, "rebooted")
        self.reboot_requested = True

    def forget_devices(self) -> None:
        """Gives up volumes, interfaces and the profile once the machine is gone. Addresses are not used again: a new
        host under an old address would look like an intruder to every SSH client that knew the old one."""
        reason = self.state_reason
        for nic in list(self.nics.values()):
            self.ec2_backend.enis.pop(nic.id, None)
        self.teardown_defaults()
        if association := self.ec2_backend.iam_instance_profile_associations.get(self.id):
            self.ec2_backend.disassociate_iam_instance_profile(association.association_id)
        self.enter("terminated", reason.code, reason.message)

    def setup_defaults(self) -> None:
        """moto's 8 GiB volume on /dev/sda1 is replaced by `ensure_root_volume`."""

    def ensure_root_volume(self, image: Any) -> None:
        """Every instance has the image's root volume, also when no mapping named it."""
        if image.root_device_name not in self.block_device_mapping:
            self.add_block_device(None, image.root_device_name, None, False, True, None, None)

    def add_block_device(  # noqa: PLR0917 - moto's signature
        self,
        size: int | None,
        device_path: str,
        snapshot_id: str | None,
        encrypted: bool,
        delete_on_termination: bool,
        kms_key_id: str | None,
        volume_type: str | None,
    ) -> None:
        image = self.ec2_backend.amis[self.image_id]
        if device_path != image.root_device_name:
            raise EC2ClientError(
                "UnsupportedOperation",
                f"The lab's machines have a root volume ({image.root_device_name}) only; it cannot attach {device_path}.",
            )
        source = image.ebs_snapshot
        if size is not None and int(size) < source.volume_size:
            raise EC2ClientError(
                "InvalidBlockDeviceMapping",
                f"Volume of size {size}GB is smaller than snapshot '{source.id}', expect size>= {source.volume_size}GB",
            )
        volume = self.ec2_backend.create_volume(
            size=int(size or source.volume_size),
            zone_name=self.placement.zone,
            snapshot_id=snapshot_id or source.id,
            encrypted=bool(encrypted) or source.encrypted,
            kms_key_id=self.ec2_backend.kms_key_arn(kms_key_id) if kms_key_id else source.kms_key_id,
            volume_type=volume_type or "gp3",
        )
        self.ec2_backend.attach_volume(volume.id, self.id, device_path, delete_on_termination)

    @property
    def instance_status(self) -> dict[str, Any]:
        if self.state != "running":
            return {"Status": "not-applicable"}
        summary = {"passed": "ok", "failed": "impaired"}.get(self.reachability, "initializing")
        return {"Status": summary, "Details": [{"Name": "reachability", "Status": self.reachability}]}

    @property
    def system_status(self) -> dict[str, Any]:
        if self.state != "running":
            return {"Status": "not-applicable"}
        seen = "initializing" if self.reachability == "initializing" else "passed"
        summary = "initializing" if seen == "initializing" else "ok"
        return {"Status": summary, "Details": [{"Name": "reachability", "Status": seen}]}

    @property
    def network_interfaces(self) -> list[Any]:
        return [] if self.state == "terminated" else list(self.nics.values())

    @property
    def private_ip_address(self) -> str | None:
        return None if self.state == "terminated" else self.private_ip

    @property
    def iam_role_names(self) -> list[str]:
        association = self.ec2_backend.iam_instance_profile_associations.get(self.id)
        return [role.name for role in association.iam_instance_profile.roles] if association else []

    def applies(self, filters: list[dict[str, Any]]) -> bool:
        """DescribeInstanceStatus: moto ignores filters that it does not know; that would be a wrong answer."""
        values = {
            "instance-state-name": self.state,
            "instance-state-code": str(self.state_code),
            "availability-zone": self.placement.zone,
            "instance-status.status": self.instance_status["Status"],
            "instance-status.reachability": self.reachability,
            "system-status.status": self.system_status["Status"],
        }
        for condition in filters or []:
            if condition["name"] not in values:
                raise EC2ClientError("InvalidParameterValue", f"The filter '{condition['name']}' is invalid")
            if values[condition["name"]] not in condition["values"]:
                return False
        return True


def incorrect_state(instance_id: str, participle: str) -> EC2ClientError:
    message = f"The instance '{instance_id}' is not in a state from which it can be {participle}."
    return EC2ClientError("IncorrectInstanceState", message)


class InstanceRecords:
    """What the EC2 backend does differently from moto's when instances are launched and looked up."""

    # Of moto's backend, which this class is mixed into.
    amis: dict[str, Any]
    reservations: dict[str, Reservation]
    _get_template_from_args: Any

    def run_instances(
        self, image_id: str | None, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any
    ) -> Reservation:
        if launched := self._launched_before(kwargs.get("client_token")):
            return launched
        template = kwargs.get("launch_template") or {}
        version = self._get_template_from_args(template) if template else None
        data = version.data if version else {}
        image_id = image_id or data.get("ImageId")
        image = self._launchable_image(image_id)
        self._fill_from_template(kwargs, data)
        self._check_launch(kwargs)
        kwargs["metadata_options"] = metadata_options(
            kwargs.get("metadata_options") or {}, data.get("MetadataOptions") or {}, image.imds_support
        )
        before = set(self.reservations)
        try:
            reservation = super().run_instances(image_id, count, user_data, security_group_names, **kwargs)  # type: ignore[misc]
        except Exception:
            self._forget_reservations(set(self.reservations) - before)
            raise
        for instance in reservation.instances:
            instance.ensure_root_volume(image)
            self._tag_volumes(instance, kwargs["tags_of_volumes"])
        self._associate_profile(reservation.instances, kwargs, data.get("IamInstanceProfile") or {})
        return reservation

    def _forget_reservations(self, ids: set[str]) -> None:
        """moto registers a reservation before it knows that the launch is possible."""
        for reservation_id in ids:
            for instance in self.reservations.pop(reservation_id).instances:
                for nic in instance.nics.values():
                    self.enis.pop(nic.id, None)  # type: ignore[attr-defined]
                for _, device in instance.get_block_device_mapping:
                    self.volumes.pop(device.volume_id, None)  # type: ignore[attr-defined]

    def _launched_before(self, token: str | None) -> Reservation | None:
        """A repeated request (same ClientToken) gets the instances of the first; "ABCDE" is moto's for no token."""
        if not token or token == "ABCDE":  # noqa: S105
            return None
        for reservation in self.reservations.values():
            if reservation.instances and reservation.instances[0].client_token == token:
                return reservation
        return None

    def _launchable_image(self, image_id: str | None) -> Any:
        if not image_id:
            raise EC2ClientError("MissingParameter", "The request must contain the parameter ImageId")
        if image_id not in self.amis:
            raise EC2ClientError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
        if self.amis[image_id].state != "available":
            state = self.amis[image_id].state
            raise EC2ClientError("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is in state {state}")
        return self.amis[image_id]

    def _fill_from_template(self, kwargs: dict[str, Any], data: dict[str, Any]) -> None:
        """Launch template fields that moto leaves out; the request's own values win."""
        nics = data.get("NetworkInterfaces") or []
        if nics and not kwargs.get("nics"):
            primary = dict(nics[0])
            if not kwargs.get("security_group_ids"):
                kwargs["security_group_ids"] = list(primary.pop("Groups", []) or [])
            primary.pop("Groups", None)
            kwargs["subnet_id"] = kwargs.get("subnet_id") or primary.get("SubnetId")
            kwargs["associate_public_ip"] = primary.get("AssociatePublicIpAddress", False)
        kwargs["placement"] = kwargs.get("placement") or (data.get("Placement") or {}).get("AvailabilityZone")
        for field, ours in (
            ("InstanceInitiatedShutdownBehavior", "instance_initiated_shutdown_behavior"),
            ("DisableApiTermination", "disable_api_termination"),
            ("EbsOptimized", "ebs_optimized"),
        ):
            kwargs[ours] = kwargs.get(ours) or data.get(field)
        kwargs["disable_api_termination"] = bool(kwargs["disable_api_termination"])
        if (data.get("Monitoring") or {}).get("Enabled"):
            kwargs["monitoring_state"] = "enabled"
        kwargs["key_name"] = kwargs.get("key_name") or data.get("KeyName")
        template_tags = convert_tag_spec(data.get("TagSpecifications") or [])
        requested = kwargs.get("tags") or {}
        kwargs["tags_of_volumes"] = {**template_tags.get("volume", {}), **requested.get("volume", {})}
        kwargs["tags"] = {"instance": requested.get("instance", {})}

    def _check_launch(self, kwargs: dict[str, Any]) -> None:
        if kwargs.get("key_name"):
            self.describe_key_pairs(key_names=[kwargs["key_name"]])  # type: ignore[attr-defined]
        if kwargs.get("instance_market_options"):
            raise EC2ClientError("UnsupportedOperation", "The lab has no Spot market: launch On-Demand instances.")
        if len(kwargs.get("nics") or []) > 1:
            raise EC2ClientError("UnsupportedOperation", "The lab's machines have one network interface only.")
        if not kwargs.get("subnet_id") and not kwargs.get("nics"):
            kwargs["subnet_id"] = self._default_subnet(kwargs.get("placement")).id

    def _default_subnet(self, zone: str | None) -> Any:
        """The default subnet of the zone, else of the first zone, as EC2 picks one for a request without a subnet."""
        subnets = self.get_default_subnets()  # type: ignore[attr-defined]
        chosen = subnets.get(zone) if zone else next((subnets[name] for name in sorted(subnets)), None)
        if chosen is None:
            raise EC2ClientError("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
        return chosen

    def _tag_volumes(self, instance: Any, tags: dict[str, str]) -> None:
        for _, device in instance.get_block_device_mapping:
            self.volumes[device.volume_id].add_tags(tags)  # type: ignore[attr-defined]

    def _associate_profile(self, instances: list[Any], kwargs: dict[str, Any], from_template: dict[str, Any]) -> None:
        """moto's handler gives the requested profile to the first instance only, and never the template's."""
        requested = {"Name": kwargs.get("iam_instance_profile_name"), "Arn": kwargs.get("iam_instance_profile_arn")}
        asked = any(requested.values())
        profile = requested if asked else from_template
        if not any(profile.values()):
            return
        for instance in instances[1:] if asked else instances:
            self.associate_iam_instance_profile(  # type: ignore[attr-defined]
                instance.id, iam_instance_profile_name=profile.get("Name"), iam_instance_profile_arn=profile.get("Arn")
            )

    def modify_instance_metadata_options(  # noqa: PLR0917 - moto's signature
        self,
        instance_id: str,
        http_tokens: str | None = None,
        hop_limit: int | None = None,
        http_endpoint: str | None = None,
        dry_run: bool | None = False,
        http_protocol: str | None = None,
        metadata_tags: str | None = None,
    ) -> MetadataOptions:
        """Changes what was given and leaves the other options (moto resets them)."""
        options = self.get_instance(instance_id).metadata_options  # type: ignore[attr-defined]
        for name, value in (
            ("http_tokens", http_tokens),
            ("http_put_response_hop_limit", hop_limit),
            ("http_endpoint", http_endpoint),
            ("http_protocol_ipv6", http_protocol),
            ("instance_metadata_tags", metadata_tags),
        ):
            if value is not None:
                setattr(options, name, value)
        return options


def matches_filter(value: Any, patterns: list[str]) -> bool:
    """EC2 filter values: any of them, `*` and `?` are wildcards, booleans are `true` and `false`."""
    values = value if isinstance(value, list) else [value]
    texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in values if v is not None]
    return any(fnmatch.fnmatchcase(text, pattern) for text in texts for pattern in patterns)
