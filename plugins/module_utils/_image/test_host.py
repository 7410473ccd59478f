# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host booted from an image to test it: launched, waited for, terminated. Control node only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._aws.client import paginate
from .._aws.tags import filters, tag_filters, tag_list
from .._aws.waiting import NEW_SECONDS, wait_for
from .api import encryption_keys
from .plan import ImageError


def launch(ec2: Any, options: Mapping[str, Any], tags: Mapping[str, str], user_data: str) -> str:
    """Start one host from the image, with no key and IMDSv2 only; returns its id. ``options``: those of the module image_test.

    Raises ImageError if there is no such network.
    """
    subnet, group = _network(ec2, options)
    answer = ec2.run_instances(
        ImageId=options["image_id"],
        InstanceType=options["instance_type"],
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        SecurityGroupIds=[group],
        IamInstanceProfile={"Name": options["instance_profile"]},
        InstanceInitiatedShutdownBehavior="terminate",
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
        UserData=user_data,
        TagSpecifications=[{"ResourceType": kind, "Tags": tag_list(tags)} for kind in ("instance", "volume")],
    )
    return str(answer["Instances"][0]["InstanceId"])


def _network(ec2: Any, options: Mapping[str, Any]) -> tuple[str, str]:
    """Ids of the subnet with the most free addresses and of the security group."""
    vpc_name, group, subnet_filters = options["vpc_name"], options["security_group"], options["subnet_filters"]
    vpcs = ec2.describe_vpcs(Filters=tag_filters({"Name": vpc_name}))["Vpcs"]
    vpc = {"vpc-id": vpcs[0]["VpcId"]} if vpcs else {"vpc-id": "none"}
    subnets = ec2.describe_subnets(Filters=filters({**subnet_filters, **vpc}))["Subnets"]
    named = filters({"group-name": group, **vpc})
    groups = ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    if not subnets or not groups:
        raise ImageError(
            f"there is no subnet with {subnet_filters} or no security group '{group}' in a VPC named "
            f"'{vpc_name}' to boot a host in; check fleet_vpc_name, fleet_subnet_filters and fleet_web_security_group."
        )
    subnet = max(subnets, key=lambda s: (s["AvailableIpAddressCount"], s["SubnetId"]))
    return str(subnet["SubnetId"]), str(groups[0]["GroupId"])


def leftovers(ec2: Any, tags: Mapping[str, str]) -> list[str]:
    """Hosts with these tags that an earlier run could not terminate."""
    alive = filters({"instance-state-name": ["pending", "running", "stopping", "stopped"]})
    reservations = paginate(ec2, "describe_instances", "Reservations", Filters=tag_filters(tags) + alive)
    return [instance["InstanceId"] for reservation in reservations for instance in reservation["Instances"]]


def terminate(ec2: Any, instance_ids: list[str], seconds: float) -> None:
    """Terminate hosts and wait until they are."""
    if not instance_ids:
        return
    wait_for(
        f"termination of {', '.join(instance_ids)} begun",
        lambda: ec2.terminate_instances(InstanceIds=instance_ids),
        lambda _answer: True,
        seconds,
        new_seconds=NEW_SECONDS,
    )
    wait_for(
        f"{', '.join(instance_ids)} terminated",
        lambda: _states(ec2, instance_ids),
        lambda states: set(states.values()) == {"terminated"},
        seconds,
        new_seconds=NEW_SECONDS,
    )


def _instances(ec2: Any, instance_ids: list[str]) -> dict[str, dict[str, Any]]:
    reservations = ec2.describe_instances(InstanceIds=instance_ids)["Reservations"]
    return {i["InstanceId"]: i for r in reservations for i in r["Instances"]}


def _states(ec2: Any, instance_ids: list[str]) -> dict[str, str]:
    return {instance_id: i["State"]["Name"] for instance_id, i in _instances(ec2, instance_ids).items()}


def wait_running(ec2: Any, instance_id: str, seconds: float) -> None:
    """Wait until a host that was just launched runs. Raises ImageError with EC2's reason if it ends instead."""
    host = wait_for(
        f"{instance_id} running",
        lambda: _instances(ec2, [instance_id]).get(instance_id, {}),
        lambda seen: seen.get("State", {}).get("Name") in ("running", "shutting-down", "terminated", "stopped"),
        seconds,
        new_seconds=NEW_SECONDS,
        describe=_describe_state,
    )
    if host["State"]["Name"] != "running":
        raise ImageError(f"{instance_id} did not start: it is {_describe_state(host)}")


def _describe_state(host: Mapping[str, Any]) -> str:
    """A host's state, with the reason for it where EC2 gives one, such as a key that can't be used."""
    reason = host.get("StateReason", {})
    told = ": ".join(reason[key] for key in ("Code", "Message") if reason.get(key))
    state = host.get("State", {}).get("Name", "not known yet")
    return f"{state} ({told})" if told else str(state)


def volume_keys(ec2: Any, instance_id: str) -> tuple[str | None, ...]:
    """The KMS keys of the volumes of a host that runs; None for an unencrypted one."""
    attached = filters({"attachment.instance-id": instance_id})
    return encryption_keys(
        wait_for(
            f"a volume of {instance_id} shown by EC2",
            lambda: ec2.describe_volumes(Filters=attached)["Volumes"],
            bool,
            NEW_SECONDS,
        )
    )
