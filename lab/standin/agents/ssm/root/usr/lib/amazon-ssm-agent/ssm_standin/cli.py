"""ssm-cli: what the running agent knows of itself, and why it can't be managed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any

from ssm_standin import NAME, VERSION
from ssm_standin.aws import AwsError, Client, Metadata
from ssm_standin.host import Identity, identity
from ssm_standin.paths import RUNTIME

CONNECT_SECONDS = 3
USAGE = "usage: ssm-cli get-instance-information | get-diagnostics [--output json|table]"


def running() -> dict[str, Any] | None:
    """What the agent says of itself; None when none runs."""
    try:
        told: dict[str, Any] = json.loads(RUNTIME.read_text())
        with open(f"/proc/{told['pid']}/cmdline", "rb") as command:  # noqa: PTH123
            return told if NAME.encode() in command.read() else None
    except (OSError, ValueError, KeyError):
        return None


def instance_information() -> int:
    told = running()
    if told is None:
        print("The SSM Agent does not run, or has not reached the metadata service yet.", file=sys.stderr)
        return 1
    shown = {name: told[name] for name in ("instance-id", "region", "release-version")}
    shown["registered"] = "true" if told["registered"] else "false"
    print(json.dumps(shown))
    return 0


class Diagnostics:
    """The checks that decide whether Systems Manager can manage the host."""

    def __init__(self) -> None:
        self._metadata = Metadata()
        self._who: Identity | None = None
        self._told = running()

    def checks(self) -> list[dict[str, str]]:
        return [
            _check("EC2 IMDS", self._imds),
            _check("AWS Credentials", self._credentials),
            _check("Agent service", self._agent),
            _check("Connectivity to ssm endpoint", lambda: self._reaches("ssm")),
            _check("Connectivity to ec2messages endpoint", lambda: self._reaches("ec2messages")),
            _check("Registration", self._registration),
        ]

    def _imds(self) -> str:
        self._who = identity(self._metadata)
        return f"IMDS is accessible and has instance id {self._who.instance_id} in region {self._who.region}"

    def _credentials(self) -> str:
        found = self._metadata.credentials()
        return f"Credentials are for the instance's role and expire at {found.expires:%Y-%m-%dT%H:%M:%SZ}"

    def _agent(self) -> str:
        done = subprocess.run(
            ["systemctl", "show", f"{NAME}.service", "--property=ActiveState,SubState"],
            capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        states = " ".join(done.stdout.split())
        if "ActiveState=active" not in states:
            raise AwsError(f"Agent service is not running ({states or done.stderr.strip()})")
        return "Agent service is running and is running as expected user"

    def _reaches(self, service: str) -> str:
        """To where the running agent connects, or would connect."""
        if self._told:
            address = str(self._told["endpoints"][service])
        elif self._who:
            address = Client(self._who.region, self._metadata).endpoint(service)
        else:
            raise AwsError("The region is not known")
        parts = urllib.parse.urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise AwsError(f"{parts.hostname}:{port} is not reachable: {error}") from error
        return f"{parts.hostname} is reachable"

    def _registration(self) -> str:
        if self._told is None:
            raise AwsError("The agent does not run")
        if not self._told["registered"]:
            raise AwsError(f"Systems Manager has not taken the registration: {self._told['fault']}")
        return "The agent is registered with Systems Manager"


def _check(name: str, make: Callable[[], str]) -> dict[str, str]:
    try:
        return {"Check": name, "Status": "Success", "Note": make()}
    except (AwsError, OSError, subprocess.SubprocessError) as error:
        return {"Check": name, "Status": "Failed", "Note": str(error)}


def diagnostics(output: str) -> int:
    checks = Diagnostics().checks()
    if output == "json":
        print(json.dumps({"DiagnosticsOutput": checks}, indent=2))
    else:
        for check in checks:
            print(f"{check['Check']:<40} {check['Status']:<8} {check['Note']}")
    return 0


def main(argv: list[str]) -> int:
    if argv == ["get-instance-information"]:
        return instance_information()
    if argv[:1] == ["get-diagnostics"] and argv[1:] in ([], ["--output", "json"], ["--output", "table"]):
        return diagnostics(argv[-1] if len(argv) == 3 else "table")
    if argv in (["--version"], ["-version"]):
        print(VERSION)
        return 0
    print(USAGE, file=sys.stderr)
    return 1
