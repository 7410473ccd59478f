"""Images and snapshots as records: made `pending`, and `available` or `failed` when the file system was stored or not."""

from __future__ import annotations

import re
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, UnvailableAMIIdError
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.instances import StateReason
from moto.ec2.utils import convert_tag_spec, random_ami_id
from moto.kms import kms_backends

from lab.settings import ACCOUNT_ID

ROOT_DEVICE = "/dev/xvda"
ROOT_SIZE_GIB = 8
NAME_PATTERN = re.compile(r"[A-Za-z0-9()\[\]. /\-'@_]{3,128}")
KEY_REFUSED = "Given key ID is not accessible. You must have DescribeKey permissions on the default CMK"
"""The state message of a snapshot whose key does not exist: EC2 checks the key of a copy after it has answered."""


class LabImage(Ami):
    """moto's record with the device facts of its source, its snapshot's state and what ModifyImageAttribute sets."""

    def __init__(
        self, backend: Any, image_id: str, *, origin: tuple[str, Any] | None = None, root: dict[str, Any], **kwargs: Any
    ) -> None:
        self.root = {"VolumeSize": ROOT_SIZE_GIB, "VolumeType": "gp3", "DeleteOnTermination": True, **root}
        super().__init__(
            backend, image_id, root_device_type="ebs", region_name=f"{backend.region_name}a", hypervisor="xen", **kwargs
        )
        self.origin = origin
        """("instance", id), ("image", (region, id)) or None for a base image: where its file system comes from."""
        self.stop_first = False
        self.requested_key: str | None = None
        """The key that CopyImage named; checked only when the copy is made, as EC2 does."""
        self.root_device_name = self.root.pop("DeviceName", ROOT_DEVICE)
        self.state_reason: StateReason | None = None
        self.imds_support: str | None = None
        self.ena_support = True
        self.deprecation_time: str | None = None
        self.platform_details, self.usage_operation = "Linux/UNIX", "RunInstances"
        self.source_image_id: str | None = None
        self.source_image_region: str | None = None
        self.ebs_snapshot.volume.size = self.root["VolumeSize"]
        self.ebs_snapshot.kms_key_id = self.root.get("KmsKeyId")
        self.ebs_snapshot.encrypted = bool(self.root.get("Encrypted"))
        self.ebs_snapshot.status, self.ebs_snapshot.state_message = "completed", None
        if self.state == "pending":
            self.ebs_snapshot.status = "pending"

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        ebs = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": self.root["VolumeSize"],
            "VolumeType": self.root["VolumeType"],
            "DeleteOnTermination": self.root["DeleteOnTermination"],
            "Encrypted": self.ebs_snapshot.encrypted,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]

    def complete(self) -> None:
        """The file system is stored: the image can be launched."""
        self.state, self.ebs_snapshot.status = "available", "completed"

    def fail(self, message: str, code: str = "Server.InternalError") -> None:
        """The file system could not be stored."""
        self.state, self.state_reason = "failed", StateReason(message, code)
        self.ebs_snapshot.status, self.ebs_snapshot.state_message = "error", message

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        device, ebs = self.root_device_name, self.block_device_mappings[0]["Ebs"]
        values = {
            "block-device-mapping.device-name": device,
            "block-device-mapping.snapshot-id": ebs["SnapshotId"],
            "block-device-mapping.encrypted": ebs["Encrypted"],
            "block-device-mapping.volume-type": ebs["VolumeType"],
            "block-device-mapping.delete-on-termination": ebs["DeleteOnTermination"],
            "imds-support": self.imds_support or "",
            "source-image-id": self.source_image_id or "",
            "ena-support": True,
        }
        return values[filter_name] if filter_name in values else super().get_filter_value(filter_name, method_name)


class ImageRecords:
    """The image calls of the EC2 backend."""

    def create_image(
        self,
        instance_id: str,
        name: str,
        description: str,
        tag_specifications: list[dict[str, Any]],
        *,
        no_reboot: bool = False,
        mappings: list[dict[str, Any]] | None = None,
    ) -> LabImage:
        instance = self.get_instance(instance_id)  # type: ignore[attr-defined]
        if instance.state not in ("running", "stopped", "stopping"):
            raise EC2ClientError(
                "IncorrectState", f"Instance '{instance_id}' is not in a valid state: {instance.state}"
            )
        self._check_name(name)
        image_id = random_ami_id()
        source = self.amis.get(instance.image_id)  # type: ignore[attr-defined]
        image = LabImage(
            self,
            image_id,
            origin=("instance", instance_id),
            root=self._root_of(instance, mappings or []),
            instance=instance,
            name=name,
            description=description,
            state="pending",
            boot_mode=source.boot_mode if source else "uefi-preferred",
            image_location=f"{self.account_id}/{name}",  # type: ignore[attr-defined]
            snapshot_description=f"Created by CreateImage({instance_id}) for {image_id}",
        )
        image.stop_first = instance.state == "running" and not no_reboot
        image.imds_support = source.imds_support if source else None
        image.source_image_id, image.source_image_region = instance.image_id, self.region_name  # type: ignore[attr-defined]
        return self._register(image, tag_specifications)

    def copy_image(
        self,
        source_image_id: str,
        source_region: str,
        name: str | None = None,
        description: str | None = None,
        *,
        encrypted: bool = False,
        kms_key_id: str | None = None,
        copy_tags: bool = False,
        tag_specifications: list[dict[str, Any]] | None = None,
    ) -> LabImage:
        source = ec2_backends[self.account_id][source_region].amis.get(source_image_id)  # type: ignore[attr-defined]
        if source is None:
            raise InvalidAMIIdError(source_image_id)
        if source.state != "available":
            raise EC2ClientError(
                "InvalidRequest", f"The image '{source_image_id}' is in state {source.state}, not available"
            )
        if kms_key_id and not encrypted:
            raise EC2ClientError(
                "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."
            )
        name = name or source.name
        self._check_name(name)
        secret = encrypted or source.ebs_snapshot.encrypted
        image_id = random_ami_id()
        image = LabImage(
            self,
            image_id,
            origin=("image", (source_region, source_image_id)),
            root={**source.root, "DeviceName": source.root_device_name, "Encrypted": secret, "KmsKeyId": None},
            source_ami=source,
            name=name,
            description=description if description is not None else source.description,
            state="pending",
            boot_mode=source.boot_mode,
            image_location=f"{self.account_id}/{name}",  # type: ignore[attr-defined]
            snapshot_description=f"Copied for DestinationAmi {image_id} from SourceAmi {source_image_id} "
            f"for SourceSnapshot {source.ebs_snapshot.id}. Task created on {int(utcnow().timestamp() * 1000)}.",
        )
        image.imds_support = source.imds_support
        image.source_image_id, image.source_image_region = source_image_id, source_region
        image.requested_key = kms_key_id
        if copy_tags:
            image.add_tags({t["key"]: t["value"] for t in source.get_tags() if not t["key"].startswith("aws:")})
        return self._register(image, tag_specifications or [])

    def _register(self, image: LabImage, tag_specifications: list[dict[str, Any]]) -> LabImage:
        tags = convert_tag_spec(tag_specifications)
        if unknown := set(tags) - {"image", "snapshot"}:
            message = f"'{unknown.pop()}' is not a valid taggable resource type for this operation."
            raise EC2ClientError("InvalidParameterValue", message)
        image.add_tags(tags.get("image", {}))
        image.ebs_snapshot.add_tags(tags.get("snapshot", {}))
        self.amis[image.id] = image  # type: ignore[attr-defined]
        return image

    def _check_name(self, name: str | None) -> None:
        if not name or not NAME_PATTERN.fullmatch(name):
            raise EC2ClientError(
                "InvalidAMIName.Malformed",
                "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
                "'(', ')', '.', '-', '/' and '_'",
            )
        for image in self.amis.values():  # type: ignore[attr-defined]
            if image.name == name and image.owner_id == self.account_id and image.state != "failed":  # type: ignore[attr-defined]
                message = f"AMI name {name} is already in use by AMI {image.id}"
                raise EC2ClientError("InvalidAMIName.Duplicate", message)

    def _root_of(self, instance: Any, mappings: list[dict[str, Any]]) -> dict[str, Any]:
        """The root volume of the new image: the instance's, changed by the request's mapping of the same device."""
        device = instance.root_device_name
        attached = instance.block_device_mapping[device]
        volume = self.volumes[attached.volume_id]  # type: ignore[attr-defined]
        root = {
            "DeviceName": device,
            "VolumeSize": volume.size,
            "VolumeType": volume.volume_type,
            "DeleteOnTermination": bool(attached.delete_on_termination),
            "Encrypted": volume.encrypted,
            "KmsKeyId": volume.kms_key_id,
        }
        for mapping in mappings:
            if mapping.get("DeviceName") != device:
                raise EC2ClientError("UnsupportedOperation", f"The lab's images have a root volume ({device}) only.")
            changed = mapping.get("Ebs") or {}
            root.update({k: v for k, v in changed.items() if k in ("VolumeSize", "VolumeType", "DeleteOnTermination")})
        return root

    def kms_key_arn(self, key_id: str | None) -> str:
        """The ARN of a key of this region (id, alias or ARN; None means the default key for EBS), if it is enabled."""
        if not key_id or key_id in ("alias/aws/ebs", self.default_kms_key_id):  # type: ignore[has-type]
            self.default_kms_key_id = self.default_kms_key_id or self._create_default_encryption_key()  # type: ignore[attr-defined, has-type]
            return self.default_kms_key_id
        foreign = key_id.startswith("arn:") and f":{self.region_name}:" not in key_id  # type: ignore[attr-defined]
        try:
            key = None if foreign else kms_backends[self.account_id][self.region_name].describe_key(key_id)  # type: ignore[attr-defined]
        except Exception:
            key = None
        if key is None or not key.enabled:
            raise EC2ClientError("InvalidKmsKey.NotFound", KEY_REFUSED)
        return str(key.arn)

    def deregister_image(self, ami_id: str, *, with_snapshots: bool = False) -> None:
        image = self.amis.get(ami_id)  # type: ignore[attr-defined]
        if image is not None and image.origin is None:
            raise EC2ClientError("AuthFailure", f"Not authorized for image:{ami_id}")
        super().deregister_image(ami_id)  # type: ignore[misc]
        if with_snapshots:
            self.snapshots.pop(image.ebs_snapshot.id, None)  # type: ignore[attr-defined]

    def register_image(self, name: str | None = None, description: str | None = None) -> Ami:
        raise EC2ClientError(
            "UnsupportedOperation", "The lab makes images from instances (CreateImage) and copies only."
        )

    def own_image(self, ami_id: str) -> LabImage:
        """The image, if it exists and is the account's own."""
        if ami_id in self.deleted_amis:  # type: ignore[attr-defined]
            raise UnvailableAMIIdError(ami_id)
        image = self.amis.get(ami_id)  # type: ignore[attr-defined]
        if image is None:
            raise InvalidAMIIdError(ami_id)
        if image.origin is None:
            raise EC2ClientError("AuthFailure", f"Not authorized for image:{ami_id}")
        return image

    def describe_images(
        self,
        ami_ids: list[str] | None = None,
        filters: dict[str, Any] | None = None,
        exec_users: list[str] | None = None,
        owners: list[str] | None = None,
    ) -> list[Ami]:
        """moto ignores owners and filters when ids are given."""
        images = super().describe_images(ami_ids, filters, exec_users, owners)  # type: ignore[misc]
        if ami_ids and (filters or owners):
            matching = {i.id for i in super().describe_images(None, filters, exec_users, owners)}  # type: ignore[misc]
            return [image for image in images if image.id in matching]
        return images


def register_base(
    region: str, image_id: str, name: str, description: str, owner_id: str, *, account_id: str = ACCOUNT_ID
) -> None:
    """Adds a public base image (owner alias `amazon`), whose file system the image store has already."""
    backend = ec2_backends[account_id][region]
    image = LabImage(
        backend,
        image_id,
        root={},
        name=name,
        description=description,
        owner_id=owner_id,
        owner_alias="amazon",
        public=True,
        virtualization_type="hvm",
        architecture="x86_64",
        boot_mode="uefi-preferred",
        image_location=f"amazon/{name}",
    )
    if "al2023" in name:
        image.imds_support = "v2.0"
    backend.amis[image_id] = image
