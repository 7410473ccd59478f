"""How `lab ssh` gets to a machine: the command lines, which are those of a fleet on AWS."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from lab.errors import LabError
from lab.settings import Settings

PLUGIN = "session-manager-plugin"
USER = "ec2-user"


def shell_session(instance: Mapping[str, Any]) -> list[str]:
    """A shell of Session Manager."""
    return _start_session(instance)


def command_over_session(settings: Settings, instance: Mapping[str, Any], argv: Sequence[str]) -> list[str]:
    """A command by SSH through a session: its exit code, its input and its output come through whole."""
    proxy = [*_start_session(instance), "--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=%p"]
    return _ssh(settings, instance, instance["InstanceId"], argv, {"ProxyCommand": shlex.join(proxy)})


def direct(settings: Settings, instance: Mapping[str, Any], argv: Sequence[str]) -> list[str]:
    """SSH to the machine's address, as no fleet is reached: for a machine whose agent is not online."""
    return _ssh(settings, instance, instance["PrivateIpAddress"], argv, {})


def require_plugin(path: str) -> None:
    """Raises LabError when the AWS CLI could not start a session."""
    if shutil.which(PLUGIN, path=path) is None:
        raise LabError(
            f"`lab ssh` opens a session, and {PLUGIN} is not on PATH",
            hint="Run `make setup`; or reach the machine without a session: `lab ssh --direct HOST`.",
        )


def _start_session(instance: Mapping[str, Any]) -> list[str]:
    region = str(instance["Placement"]["AvailabilityZone"]).rstrip("abcdef")
    return ["aws", "ssm", "start-session", "--region", region, "--target", str(instance["InstanceId"])]


def _ssh(
    settings: Settings, instance: Mapping[str, Any], host: str, argv: Sequence[str], more: Mapping[str, str]
) -> list[str]:
    options = {
        "IdentityFile": str(settings.ssh_key),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(settings.known_hosts),
        # An address is used again by a later instance, an instance id never.
        "HostKeyAlias": str(instance["InstanceId"]),
        "StrictHostKeyChecking": "accept-new",
        "LogLevel": "ERROR",
        **more,
    }
    flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
    return ["ssh", *flags, f"{USER}@{host}", *argv]
