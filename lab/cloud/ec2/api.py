"""EC2 requests: parameters that moto's handlers drop, and actions that they lack."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response
from moto.ec2.utils import parse_user_data

from lab.cloud.reconciler import LockedRequests, lock

IMAGE_ATTRIBUTES = {
    "description": ("Description", "description"),
    "bootMode": ("BootMode", "boot_mode"),
    "imdsSupport": ("ImdsSupport", "imds_support"),
    "sriovNetSupport": ("SriovNetSupport", "sriov"),
    "kernel": ("KernelId", "kernel_id"),
}


CONSOLE_BYTES = 65536
"""GetConsoleOutput returns the last 64 KiB."""
IMAGE_SECONDS = 8.0
"""How long CreateImage and CopyImage wait for the file system before they answer with an image that is `pending`."""


class LabEC2Response(LockedRequests, EC2Response):
    machines_dir: ClassVar[Path]
    """Set by `lab.cloud.ec2.install`."""

    def call_action(self) -> Any:
        """Small images are stored in a moment. The answer waits for that, so that a caller who looks at once sees `available`;
        Packer's amazon plugin would look again only after 15 seconds."""
        answer = super().call_action()
        if self._get_action() in ("CreateImage", "CopyImage"):
            deadline = time.monotonic() + IMAGE_SECONDS
            while self._image_is_pending() and time.monotonic() < deadline:
                time.sleep(0.1)
        return answer

    def _image_is_pending(self) -> bool:
        with lock:
            return any(image.state == "pending" for image in self.ec2_backend.amis.values())

    def run_instances(self) -> ActionResult:
        """moto launches MinCount instances; EC2 launches MaxCount when it can, and the lab always can."""
        self.params["MinCount"] = self._get_param("MaxCount", 1)
        return super().run_instances()

    def create_image(self) -> ActionResult:
        self.error_on_dryrun()
        image = self.ec2_backend.create_image(
            self._get_param("InstanceId"),
            self._get_param("Name"),
            self._get_param("Description", ""),
            self._get_param("TagSpecifications", []),
            no_reboot=bool(self._get_param("NoReboot", False)),
            mappings=self._get_param("BlockDeviceMappings", []),
        )
        return ActionResult({"ImageId": image.id})

    def copy_image(self) -> ActionResult:
        self.error_on_dryrun()
        if self._get_param("DestinationOutpostArn"):
            raise EC2ClientError("UnsupportedOperation", "The lab has no Outposts.")
        image = self.ec2_backend.copy_image(
            self._get_param("SourceImageId"),
            self._get_param("SourceRegion"),
            self._get_param("Name"),
            self._get_param("Description"),
            encrypted=bool(self._get_param("Encrypted", False)),
            kms_key_id=self._get_param("KmsKeyId"),
            copy_tags=bool(self._get_param("CopyImageTags", False)),
            tag_specifications=self._get_param("TagSpecifications", []),
        )
        return ActionResult({"ImageId": image.id})

    def deregister_image(self) -> ActionResult:
        self.error_on_dryrun()
        with_snapshots = bool(self._get_param("DeleteAssociatedSnapshots", False))
        self.ec2_backend.deregister_image(self._get_param("ImageId"), with_snapshots=with_snapshots)
        return ActionResult({"Return": True})

    def modify_image_attribute(self) -> ActionResult:
        image = self.ec2_backend.own_image(self._get_param("ImageId"))
        attribute, value = self._get_param("Attribute"), self._get_param("Value")
        changes = {
            name: self._get_param(f"{name}.Value") or (value if attribute == name[0].lower() + name[1:] else None)
            for name in ("Description", "ImdsSupport")
        }
        if changes["ImdsSupport"] not in (None, "v2.0"):
            raise EC2ClientError(
                "InvalidParameterValue", f"Value ({changes['ImdsSupport']}) for parameter imdsSupport is invalid."
            )
        self.error_on_dryrun()
        if changes["Description"] is not None:
            image.description = changes["Description"]
        if changes["ImdsSupport"]:
            image.imds_support = "v2.0"
        return super().modify_image_attribute()

    def describe_image_attribute(self) -> ActionResult:
        attribute = self._get_param("Attribute")
        if attribute not in IMAGE_ATTRIBUTES:
            return super().describe_image_attribute()
        shown, field = IMAGE_ATTRIBUTES[attribute]
        image = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        return ActionResult({"ImageId": image.id, shown: {"Value": getattr(image, field)}})

    def enable_image_deprecation(self) -> ActionResult:
        image = self.ec2_backend.own_image(self._get_param("ImageId"))
        self.error_on_dryrun()
        image.deprecation_time = self._get_param("DeprecateAt")
        return ActionResult({"Return": True})

    def disable_image_deprecation(self) -> ActionResult:
        image = self.ec2_backend.own_image(self._get_param("ImageId"))
        self.error_on_dryrun()
        image.deprecation_time = None
        return ActionResult({"Return": True})

    def create_launch_template_version(self) -> ActionResult:
        """moto keeps the user data of later versions as plain text and forgets SourceVersion."""
        data: dict[str, Any] = self._get_param("LaunchTemplateData", {})
        if source := self._get_param("SourceVersion"):
            data = {**self._template().get_version(source).data, **data}
        if isinstance(data.get("UserData"), str):
            data["UserData"] = parse_user_data(data["UserData"])
        self.params["LaunchTemplateData"] = data
        return super().create_launch_template_version()

    def _template(self) -> Any:
        if name := self._get_param("LaunchTemplateName"):
            return self.ec2_backend.get_launch_template_by_name(name)
        return self.ec2_backend.get_launch_template(self._get_param("LaunchTemplateId"))

    def get_console_output(self) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        console = self.machines_dir / instance.id / "console.log"
        text = console.read_bytes()[-CONSOLE_BYTES:] if console.exists() else b""
        output = Base64EncodedString.from_raw_bytes(text.decode(errors="replace").encode())
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

    def modify_instance_attribute(self) -> ActionResult:
        behaviour = self._get_param("InstanceInitiatedShutdownBehavior.Value")
        if behaviour is None:
            return super().modify_instance_attribute()
        if behaviour not in ("stop", "terminate"):
            message = (
                f"Value ({behaviour}) for parameter value is invalid. Invalid Instance Initiated Shutdown Behavior."
            )
            raise EC2ClientError("InvalidParameterValue", message)
        self.error_on_dryrun()
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        instance.instance_initiated_shutdown_behavior = behaviour
        return EmptyResult()
