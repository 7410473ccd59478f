"""What the agent reports of its host."""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from pathlib import Path

from ssm_standin import NAME, VERSION
from ssm_standin.aws import AwsError, Metadata

OS_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True)
class Identity:
    instance_id: str
    region: str
    address: str
    computer_name: str


def identity(metadata: Metadata) -> Identity:
    """Raises AwsError while the metadata service does not answer."""
    try:
        name = metadata.get("local-hostname")
    except AwsError:
        name = platform.node()
    return Identity(metadata.get("instance-id"), metadata.get("placement/region"), metadata.get("local-ipv4"), name)


def information(who: Identity) -> dict[str, str]:
    """The request of UpdateInstanceInformation."""
    system = os_release()
    return {
        "InstanceId": who.instance_id,
        "AgentName": NAME,
        "AgentVersion": VERSION,
        "AgentStatus": "Active",
        "PlatformType": "Linux",
        "PlatformName": system.get("NAME", ""),
        "PlatformVersion": system.get("VERSION_ID", ""),
        "IPAddress": who.address,
        "ComputerName": who.computer_name,
    }


def os_release() -> dict[str, str]:
    values = {}
    for line in OS_RELEASE.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = "".join(shlex.split(value))
    return values
