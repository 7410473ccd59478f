"""EC2 in a lab of the tests: launch an instance, look at it, log in to it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab import processes
from tests.support.running_lab import RunningLab


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def base_image(ec2: Any) -> str:
    found = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-2023.*"]}])
    return str(found["Images"][0]["ImageId"])


def subnets(ec2: Any, tier: str = "app") -> dict[str, str]:
    """Zone → subnet id."""
    found = ec2.describe_subnets(Filters=[{"Name": "tag:Tier", "Values": [tier]}])["Subnets"]
    return {s["AvailabilityZone"]: s["SubnetId"] for s in found}


def describe(ec2: Any, instance_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return found


def state(ec2: Any, instance_id: str) -> str:
    return str(describe(ec2, instance_id)["State"]["Name"])


def status(ec2: Any, instance_id: str) -> str:
    found = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
    return str(found[0]["InstanceStatus"]["Status"]) if found else ""


def launch(ec2: Any, **arguments: Any) -> str:
    zone, subnet = next(iter(subnets(ec2).items()))
    defaults = {"ImageId": base_image(ec2), "InstanceType": "t3.micro", "SubnetId": subnet, "KeyName": "lab"}
    made = ec2.run_instances(MinCount=1, MaxCount=1, **{**defaults, **arguments})
    assert made["Instances"][0]["Placement"]["AvailabilityZone"] or zone
    return str(made["Instances"][0]["InstanceId"])


def leader(lab: RunningLab, instance_id: str) -> int:
    """The PID of a machine's first process."""
    directory = f"directory={lab.settings.machines_dir}/{instance_id}/"
    for pid in processes.ours(lab.settings):
        try:
            found = subprocess.run(["cat", f"/proc/{pid}/cmdline"], capture_output=True, text=True, check=True).stdout
        except subprocess.CalledProcessError:
            continue
        if found.startswith("systemd-nspawn") and directory in found:
            return next(p for p in processes.children(pid) if processes.is_init(p))
    pytest.fail(f"{instance_id} has no process")


def ssh(lab: RunningLab, ec2: Any, instance_id: str, command: str) -> str:
    done = lab.command("ssh", "--direct", describe(ec2, instance_id)["PrivateIpAddress"], command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
