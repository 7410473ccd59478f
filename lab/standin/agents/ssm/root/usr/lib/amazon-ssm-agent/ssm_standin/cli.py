"""ssm-cli: who this host is, and what its agent lacks. Output and exit codes are those of the real program (3.3)."""

from __future__ import annotations

import functools
import json
import socket
import subprocess
import urllib.parse
from collections.abc import Callable
from typing import Any

from ssm_standin import NAME, VERSION
from ssm_standin.aws import AwsError, Client, Metadata
from ssm_standin.host import Identity, identity
from ssm_standin.paths import CONFIG, RUNTIME

CONNECT_SECONDS = 1
STS_SECONDS = 2
SERVICES = ("ssm", "ec2messages", "ssmmessages", "s3", "kms", "logs", "monitoring")
USAGE = """\
usage: ssm-cli <command> [subcommand] [parameters]
To see help text, you can run:

  ssm-cli help
"""
PARSE_FAILED, COMMAND_FAILED = 2, 255


def running() -> dict[str, Any] | None:
    """What the agent says of itself; None when none runs."""
    try:
        state: dict[str, Any] = json.loads(RUNTIME.read_text())
        with open(f"/proc/{state['pid']}/cmdline", "rb") as command:  # noqa: PTH123
            return state if NAME.encode() in command.read() else None
    except (OSError, ValueError, KeyError):
        return None


def instance_information() -> str:
    """Needs no running agent: the host's identity is the metadata service's. Raises AwsError."""
    who = identity(Metadata())
    return json.dumps({"instance-id": who.instance_id, "region": who.region, "release-version": VERSION})


class Diagnostics:
    """The checks of the real program, in its order. None of them asks whether Systems Manager has the host registered."""

    def __init__(self) -> None:
        self._metadata = Metadata()
        self._who: Identity | None = None
        self._state = running()

    def checks(self) -> list[dict[str, str]]:
        return [
            _check("EC2 IMDS", self._imds),
            _skipped("Hybrid instance registration", "Instance does not have hybrid registration"),
            *(_check(f"Connectivity to {name} endpoint", lambda name=name: self._reaches(name)) for name in SERVICES),
            _check("AWS Credentials", self._credentials),
            _check("Agent service", self._agent),
            _skipped("Proxy configuration", "No proxy configuration detected"),
            _check("SSM Agent version", lambda: f"SSM Agent version is {VERSION}"),
        ]

    def _imds(self) -> str:
        self._who = identity(self._metadata)
        return f"IMDS is accessible and has instance id {self._who.instance_id} in region {self._who.region}"

    def _credentials(self) -> str:
        """Asks STS who the credentials are for, and fails where STS is not reached, whatever the credentials are."""
        if self._who is None:
            raise SkippedError("No credentials available")
        client = Client(self._who.region, self._metadata, {"AWS_ENDPOINT_URL": self._endpoint("sts")})
        try:
            arn = client.caller_arn(STS_SECONDS)
            expires = self._metadata.credentials().expires
        except AwsError as error:
            if error.code == "EC2RoleRequestError":
                raise
            if "timed out" in str(error):
                raise AwsError("STS call timed out") from error
            cause = error.code or "RequestError: send request failed\ncaused by"
            raise AwsError(f"Failed call sts endpoint: {cause}: {error}") from error
        return f"Credentials are for {arn} and will expire at {expires:%Y-%m-%d %H:%M:%S} +0000 UTC"

    def _agent(self) -> str:
        done = subprocess.run(
            ["systemctl", "show", f"{NAME}.service", "--property=ActiveState,SubState"],
            capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        states = " ".join(done.stdout.split())
        if "ActiveState=active" not in states:
            raise AwsError(f"Agent service is not running ({states or done.stderr.strip()})")
        return "Agent service is running and is running as expected user"

    def _endpoint(self, service: str) -> str:
        """Where the running agent connects, or would connect."""
        if self._state:
            return str(self._state["endpoints"][service])
        if self._who:
            return Client(self._who.region, self._metadata).endpoint(service)
        raise SkippedError("Unable to fetch AWS region details")

    def _reaches(self, service: str) -> str:
        parts = urllib.parse.urlsplit(self._endpoint(service))
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise AwsError(f"{parts.hostname} is not reachable: {error}") from error
        return f"{parts.hostname} is reachable"


class SkippedError(Exception):
    """The check could not be made."""


def _check(name: str, make: Callable[[], str]) -> dict[str, str]:
    try:
        return {"Check": name, "Status": "Success", "Note": make()}
    except SkippedError as error:
        return _skipped(name, str(error))
    except (AwsError, OSError, subprocess.SubprocessError) as error:
        return {"Check": name, "Status": "Failed", "Note": str(error)}


def _skipped(name: str, note: str) -> dict[str, str]:
    return {"Check": name, "Status": "Skipped", "Note": note}


def diagnostics(output: str) -> str:
    checks = Diagnostics().checks()
    if output == "json":
        return json.dumps({"DiagnosticsOutput": checks}, indent=2)
    return "\n".join(f"{check['Check']:<40} {check['Status']:<8} {check['Note']}" for check in checks)


def main(argv: list[str]) -> int:
    """Everything goes to standard output, errors too."""
    if argv[:1] == ["get-diagnostics"] and argv[1:] in ([], ["--output", "json"], ["--output", "table"]):
        command = functools.partial(diagnostics, argv[2] if argv[1:] else "json")
    elif argv == ["get-instance-information"]:
        command = functools.partial(instance_information)
    else:
        print(f"{USAGE}\nInvalid command {' '.join(argv[:1])}.  The following commands are supported:\n")
        print("get-diagnostics\nget-instance-information")
        return PARSE_FAILED
    if CONFIG.exists():
        print(f"Applying config override from {CONFIG}.")
    try:
        print(command())
    except AwsError as error:
        print(f"{USAGE}\nerror: {error}")
        return COMMAND_FAILED
    return 0
