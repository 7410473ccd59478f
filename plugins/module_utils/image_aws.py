"""The AWS calls about images: finding, booting a copy to look at it, tags and parameters. Control node only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fleet_aws import paginate, wait_for
from .image_plan import Change, Image, ImageError

# Prints the paths that a report of AIDE lists as added, removed or changed. It ends before the details: checksums there are base64,
# and one that begins with a slash looks like a path.
AIDE_PATHS = r"""sed -n -e '/^Detailed information /q' -e '/^The attributes of /q' -e 's/^[^/]*: \(\/.*\)$/\1/p'"""

# What runs on the booted host, as root, through AWS-RunShellScript. One fact a line. /etc/machine-id is made at the first boot, so that
# files older than it came with the image.
PROBE = r"""
deadline=$(($(date +%s) + {health_seconds}))
until code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 http://127.0.0.1/health) && [ "$code" = 200 ]; do
  [ "$(date +%s)" -lt $deadline ] || break
  sleep 1
done
echo "health=$code"
echo "version=$(curl -s --max-time 5 http://127.0.0.1/version | tr -d '\n' | cut -c1-300)"
echo "imds_v1=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 http://169.254.169.254/latest/meta-data/)"
for f in /etc/ssh/ssh_host_*_key.pub; do [ ! -e "$f" ] || echo "host_key=$(ssh-keygen -lf "$f" | cut -d' ' -f2)"; done
echo "machine_id=$(cat /etc/machine-id)"
for f in /root/.ssh/authorized_keys* /home/*/.ssh/authorized_keys*; do [ ! -s "$f" ] || echo "authorized_keys=$f"; done
for f in /root/.*_history /home/*/.*_history; do [ ! -s "$f" ] || echo "history=$f"; done
find /var/log -type f -size +0c ! -newer /etc/machine-id | sed 's/^/old_log=/' | head -n 20
find /tmp /var/tmp -xdev -type f ! -newer /etc/machine-id | sed 's/^/old_tmp=/' | head -n 20
systemctl list-units --state=failed --no-legend --plain | while read -r unit rest; do echo "failed_unit=$unit"; done
echo "manifest_image=$(sed -n 's/.*"image_name": "\(.*\)".*/\1/p' /etc/fleet/image-manifest.json | head -n 1)"
echo "manifest_sha256=$(sha256sum /etc/fleet/image-manifest.json | cut -d' ' -f1)"
echo "manifest_aide=$(sed -n '/^  "aide": {/,/^  }/s/.*"sha256": "\(.*\)".*/\1/p' /etc/fleet/image-manifest.json)"
if [ -e /var/lib/aide/aide.db.gz ]; then
  echo "aide_record=$(sha256sum /var/lib/aide/aide.db.gz | cut -d' ' -f1)"
  { grep -v '^[[:space:]]*report_url' /etc/aide.conf; echo report_url=stdout; } | aide --config=- --check >/run/aide-test 2>&1
  echo "aide_code=$?"
  {aide_paths} /run/aide-test | sort -u | sed 's/^/aide_difference=/' | head -n 20
  rm -f /run/aide-test
fi
echo probe=done
"""

# Ends the host by itself if the control node dies before it can.
DEAD_MANS_SWITCH = "#!/bin/sh\nsystemd-run --on-active={seconds} systemctl poweroff\n"


@dataclass(frozen=True)
class Place:
    """Where and how a test host is booted."""

    vpc_name: str
    subnet_filters: Mapping[str, str]
    security_group: str
    instance_profile: str
    instance_type: str


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def filters(wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": [value]} for name, value in wanted.items()]


def find_images(ec2: Any, region: str, tags: Mapping[str, str]) -> list[Image]:
    """The account's own images with all of these tags."""
    wanted = filters({f"tag:{key}": value for key, value in tags.items()})
    return [
        _image(ec2, region, item)
        for item in paginate(ec2, "describe_images", "Images", Owners=["self"], Filters=wanted)
    ]


def read_image(ec2: Any, region: str, image_id: str) -> Image:
    found = ec2.describe_images(ImageIds=[image_id])["Images"]
    if not found:
        raise ImageError(f"there is no image {image_id} in {region}")
    return _image(ec2, region, found[0])


def _image(ec2: Any, region: str, item: Mapping[str, Any]) -> Image:
    snapshots = [
        m["Ebs"]["SnapshotId"] for m in item.get("BlockDeviceMappings", []) if m.get("Ebs", {}).get("SnapshotId")
    ]
    described = ec2.describe_snapshots(SnapshotIds=snapshots)["Snapshots"] if snapshots else []
    return Image(
        region=region,
        image_id=item["ImageId"],
        name=item.get("Name", ""),
        created=item.get("CreationDate", ""),
        state=item["State"],
        imds=item.get("ImdsSupport", ""),
        keys=tuple(s.get("KmsKeyId") if s.get("Encrypted") else None for s in described),
        tags={t["Key"]: t["Value"] for t in item.get("Tags", [])},
    )


def key_arn(kms: Any, key: str) -> str:
    """The ARN behind a key's id, alias or ARN."""
    return str(kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"])


def launch(ec2: Any, image_id: str, place: Place, tags: Mapping[str, str], seconds: int) -> str:
    """Start one host from the image, with no key and IMDSv2 only; returns its id."""
    vpcs = ec2.describe_vpcs(Filters=filters({"tag:Name": place.vpc_name}))["Vpcs"]
    vpc = {"vpc-id": vpcs[0]["VpcId"]} if vpcs else {"vpc-id": "none"}
    subnets = ec2.describe_subnets(Filters=filters({**place.subnet_filters, **vpc}))["Subnets"]
    groups = ec2.describe_security_groups(Filters=filters({"group-name": place.security_group, **vpc}))[
        "SecurityGroups"
    ]
    if not subnets or not groups:
        raise ImageError(
            f"there is no subnet with {dict(place.subnet_filters)} or no security group '{place.security_group}' in a VPC named "
            f"'{place.vpc_name}' to boot a host in; check fleet_vpc_name, fleet_subnet_filters and fleet_web_security_group."
        )
    subnet = max(subnets, key=lambda s: (s["AvailableIpAddressCount"], s["SubnetId"]))
    answer = ec2.run_instances(
        ImageId=image_id,
        InstanceType=place.instance_type,
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet["SubnetId"],
        SecurityGroupIds=[groups[0]["GroupId"]],
        IamInstanceProfile={"Name": place.instance_profile},
        InstanceInitiatedShutdownBehavior="terminate",
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
        UserData=DEAD_MANS_SWITCH.format(seconds=seconds),
        TagSpecifications=[{"ResourceType": kind, "Tags": tag_list(tags)} for kind in ("instance", "volume")],
    )
    return str(answer["Instances"][0]["InstanceId"])


def leftovers(ec2: Any, tags: Mapping[str, str]) -> list[str]:
    """Hosts with these tags that an earlier run could not end."""
    wanted = filters({f"tag:{key}": value for key, value in tags.items()})
    wanted.append({"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]})
    reservations = paginate(ec2, "describe_instances", "Reservations", Filters=wanted)
    return [instance["InstanceId"] for reservation in reservations for instance in reservation["Instances"]]


def end(ec2: Any, instance_ids: list[str], seconds: float) -> None:
    """Terminate hosts and wait until they are."""
    if not instance_ids:
        return
    ec2.terminate_instances(InstanceIds=instance_ids)
    wait_for(
        f"{', '.join(instance_ids)} terminated",
        lambda: _states(ec2, instance_ids),
        lambda states: set(states.values()) == {"terminated"},
        seconds,
    )


def _states(ec2: Any, instance_ids: list[str]) -> dict[str, str]:
    reservations = ec2.describe_instances(InstanceIds=instance_ids)["Reservations"]
    return {i["InstanceId"]: i["State"]["Name"] for r in reservations for i in r["Instances"]}


def wait_running(ec2: Any, instance_id: str, seconds: float) -> None:
    """Wait until the host runs. One that ends instead stops the wait."""
    states = wait_for(
        f"{instance_id} running",
        lambda: _states(ec2, [instance_id]),
        lambda seen: seen.get(instance_id) in ("running", "shutting-down", "terminated", "stopped"),
        seconds,
    )
    if states[instance_id] != "running":
        raise ImageError(f"{instance_id} did not start: it is {states[instance_id]}")


def volume_keys(ec2: Any, instance_id: str) -> tuple[str | None, ...]:
    """The KMS keys of a host's volumes; None for an unencrypted one."""
    volumes = ec2.describe_volumes(Filters=filters({"attachment.instance-id": instance_id}))["Volumes"]
    return tuple(v.get("KmsKeyId") if v.get("Encrypted") else None for v in volumes)


def wait_online(ssm: Any, instance_id: str, seconds: float) -> None:
    """Wait until the host's Systems Manager agent answers."""
    wanted = [{"Key": "InstanceIds", "Values": [instance_id]}]
    wait_for(
        f"Systems Manager agent of {instance_id} online",
        lambda: [i["PingStatus"] for i in ssm.describe_instance_information(Filters=wanted)["InstanceInformationList"]],
        lambda seen: seen == ["Online"],
        seconds,
    )


def probe(ssm: Any, instance_id: str, seconds: int) -> str:
    """Run the probe on the host; returns what it printed. Raises ImageError if it did not run to its end."""
    script = PROBE.replace("{health_seconds}", str(max(seconds // 2, 5))).replace("{aide_paths}", AIDE_PATHS)
    return run_command(ssm, instance_id, "the probe", script, seconds)


def run_command(ssm: Any, instance_id: str, what: str, script: str, seconds: int) -> str:
    """Run a script on the host as root; returns what it printed, of which there are at most 24,000 characters. Raises ImageError."""
    sent = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[instance_id],
        Parameters={"commands": script.strip().splitlines(), "executionTimeout": [str(seconds)]},
        Comment="image test",
        TimeoutSeconds=max(seconds, 30),
    )
    command_id = sent["Command"]["CommandId"]
    ended = wait_for(
        f"{what} on {instance_id} (command {command_id})",
        lambda: _invocation(ssm, command_id, instance_id),
        lambda seen: seen.get("Status") in ("Success", "Failed", "TimedOut", "Cancelled"),
        seconds + 15,
    )
    if ended["Status"] != "Success":
        said = (ended.get("StandardErrorContent") or "").strip()[-500:]
        raise ImageError(f"{what} ended with {ended['Status']}: {said or 'no output'}")
    return str(ended["StandardOutputContent"])


def _invocation(ssm: Any, command_id: str, instance_id: str) -> dict[str, Any]:
    """The invocation; empty while it does not exist yet."""
    try:
        return dict(ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id))
    except ssm.exceptions.InvocationDoesNotExist:
        return {}


def read_parameters(ssm: Any, names: list[str]) -> dict[str, str]:
    return {p["Name"]: p["Value"] for p in ssm.get_parameters(Names=names)["Parameters"]}


def write_parameter(ssm: Any, change: Change, tags: Mapping[str, str]) -> None:
    """Tags go with the creation only: PutParameter refuses them together with Overwrite."""
    if change.old is None:
        ssm.put_parameter(Name=change.name, Value=change.new, Type="String", Tags=tag_list(tags))
    else:
        ssm.put_parameter(Name=change.name, Value=change.new, Type="String", Overwrite=True)


def undo_parameter(ssm: Any, change: Change) -> None:
    if change.old is None:
        ssm.delete_parameter(Name=change.name)
    else:
        ssm.put_parameter(Name=change.name, Value=change.old, Type="String", Overwrite=True)
