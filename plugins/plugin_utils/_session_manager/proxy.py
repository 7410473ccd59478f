# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session for SSH through Session Manager: reads the host's keys, starts the session, pushes the public key; how the plugin is started.

    ProxyCommand python3 …/_session_manager/proxy.py %h --user %r --port %p --region us-east-1 --public-key ~/.ssh/id_ed25519.pub

The connection plugin calls `connect` in Ansible's own process, which has botocore at hand: a Python of its own for each of many hosts costs
more than the session. For ssh, scp and others without Ansible this file is a program, of the standard library and botocore. Its last step
replaces it by session-manager-plugin, so that nothing stays between ssh and the session.

Sources: "StartSession" (AWS Systems Manager API Reference), "SendSSHPublicKey" (EC2 Instance Connect API Reference), "Allow and control
permissions for SSH connections through Session Manager" (AWS Systems Manager User Guide); how the plugin is called:
awscli/customizations/sessionmanager.py.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

DOCUMENT = "AWS-StartSSHSession"
RESPONSE_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
"""By which the plugin takes the session's token; on the command line everybody on this machine could read it."""
MINIMUM_PLUGIN = (1, 2, 764, 0)
"""Below that the AWS CLI says that the plugin is outdated."""
RETRIES: Any = {"mode": "standard", "total_max_attempts": 12}
"""botocore's: exponential backoff with full jitter, 20 s at most, for throttled calls. Many hosts are connected to at once."""
CONNECT_SECONDS, READ_SECONDS = 10, 30
"""For one try of a call."""
KEY_SECONDS = 60
"""How long a pushed key is accepted (SendSSHPublicKey)."""
HOST_KEYS = "/fleet/host-keys"
HOST_KEY = re.compile(r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+=*")
PLUGIN_PAGE = '"Install the Session Manager plugin for the AWS CLI" in the AWS Systems Manager User Guide'


class ProxyError(Exception):
    """Why there is no session: what was done, on what, what happened, what to do. ``passes``: whether a new try may succeed."""

    def __init__(self, message: str, *, passes: bool = False) -> None:
        super().__init__(message)
        self.passes = passes


@dataclass(frozen=True)
class Target:
    """What is connected to: ``user`` of the host, ``port`` of its sshd."""

    instance: str
    user: str
    port: int
    region: str
    profile: str = ""

    def __str__(self) -> str:
        return f"{self.instance} in {self.region}"

    @property
    def request(self) -> dict[str, Any]:
        """Of StartSession."""
        return {"Target": self.instance, "DocumentName": DOCUMENT, "Parameters": {"portNumber": [str(self.port)]}}


def host_keys(ssm: Any, target: Target, folder: str) -> list[str]:
    """The public keys that the host has published, each ``type base64``. Raises ProxyError where it has published none."""
    name = f"{folder.rstrip('/')}/{target.instance}"
    remedy = (
        "Launch it from an image that publishes them, and let its instance profile write that parameter; or accept the key that it shows "
        "at the first connection (host_key_checking: accept_new)."
    )
    try:
        value = str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except Exception as error:
        if code(error) != "ParameterNotFound":
            raise
        # A host that is starting may publish them in a moment.
        raise ProxyError(
            f"{target} has published no host keys (parameter {name}), so it can't be verified. {remedy}", passes=True
        ) from error
    keys = [match[0] for line in value.splitlines() if (match := HOST_KEY.match(line.strip()))]
    if not keys:
        raise ProxyError(f"Parameter {name} in {target.region} has no host key: '{value[:60]}'. {remedy}")
    return keys


def write_known_hosts(file: Path, instance: str, keys: Sequence[str]) -> None:
    """Has ``keys`` for the instance and what there was for others. Another connection may write the same file at that moment."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        kept = [line for line in there if line.partition(" ")[0] != instance]
        new = file.with_name(f"{file.name}.new")
        new.write_text(
            "".join(f"{line}\n" for line in [*kept, *(f"{instance} {key}" for key in keys)]), encoding="utf-8"
        )
        new.replace(file)


def plugin(program: str) -> str:
    """The path of session-manager-plugin. Raises ProxyError where it is missing or too old."""
    least = ".".join(map(str, MINIMUM_PLUGIN))
    found = shutil.which(program)
    if found is None:
        raise ProxyError(
            f"There is no {program} on PATH, by which a session is carried; {least} or newer is needed. Install it: {PLUGIN_PAGE}."
        )
    asked = subprocess.run(
        [found, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
    )
    version = re.fullmatch(r"\d+(?:\.\d+){2,3}", asked.stdout.strip())
    if version is None or tuple(map(int, version[0].split("."))) < MINIMUM_PLUGIN:
        said = version[0] if version else f"no session-manager-plugin of AWS (it says '{asked.stdout.strip()[:60]}')"
        raise ProxyError(f"{found} is {said}; {least} or newer is needed. Install it: {PLUGIN_PAGE}.")
    return found


def code(error: BaseException) -> str:
    """The service's code of an error; empty where it is none of a service's answer."""
    return str((getattr(error, "response", None) or {}).get("Error", {}).get("Code", ""))


def state(ec2: Any, target: Target) -> str:
    """The instance's state, "unknown" to EC2, or empty where that can't be asked: it only makes a message clearer."""
    try:
        found = ec2.describe_instances(InstanceIds=[target.instance])["Reservations"]
    except Exception as error:
        return "unknown" if code(error).startswith("InvalidInstanceID") else ""
    return next((str(instance["State"]["Name"]) for one in found for instance in one["Instances"]), "unknown")


def start_session(ssm: Any, ec2: Callable[[], Any], target: Target) -> dict[str, Any]:
    """StartSession's answer. ``ec2``: makes a client, to ask why the host is not connected."""
    try:
        answer: dict[str, Any] = ssm.start_session(**target.request)
    except Exception as error:
        if code(error) not in ("TargetNotConnected", "InvalidTarget"):
            raise
        now = state(ec2(), target)
        if now == "unknown":
            raise ProxyError(f"There is no instance {target}. Is that the region of the host?") from error
        if now and now not in ("running", "pending"):
            raise ProxyError(
                f"{target} is {now}, so no session can be started. Start it, or take it from the inventory."
            ) from error
        raise ProxyError(
            f"{target} is not connected to Systems Manager{f' (EC2: {now})' if now else ''}: its agent is offline or not started yet, or "
            "its instance profile lacks AmazonSSMManagedInstanceCore.",
            passes=True,
        ) from error
    return answer


def push_key(connect: Any, target: Target, public_key: str) -> None:
    """The host's sshd accepts the key for 60 seconds from now."""
    connect.send_ssh_public_key(InstanceId=target.instance, InstanceOSUser=target.user, SSHPublicKey=public_key)


def explained(error: Exception, doing: str, target: Target) -> ProxyError:
    """An error of AWS with what was being done, and what to do."""
    found, said = code(error), " ".join(str(error).split())
    if "AccessDenied" in found or "Unauthorized" in found:
        return ProxyError(
            f"{doing} for {target}: {said} The credentials in use must allow it (docs/operations.md, How Ansible connects)."
        )
    if found == "EC2InstanceStateInvalidException":
        return ProxyError(f"{doing} for {target}: {said} The instance must be running.")
    if found == "EC2InstanceNotFoundException":
        return ProxyError(f"{doing} for {target}: {said} Is that the region of the host?")
    busy = "Throttl" in found or "TooMany" in found or "RequestLimit" in found
    advice = f" After {RETRIES['total_max_attempts']} tries; connect to fewer hosts at once (forks)." if busy else ""
    return ProxyError(f"{doing} for {target}: {said}{advice}", passes=busy or isinstance(error, _connection_errors()))


def _connection_errors() -> tuple[type[Exception], ...]:
    # Imported here: AWS was asked, so it is there.
    from botocore import exceptions  # noqa: PLC0415

    return exceptions.ConnectionError, exceptions.HTTPClientError


@dataclass(frozen=True)
class Session:
    """A session that was started. ``command``: the plugin's, as the AWS CLI starts it; ``environment``: what that needs besides the
    process's own; ``pushed``: when the public key was, in seconds since 1970."""

    id: str
    command: list[str]
    environment: dict[str, str]
    pushed: float


def started(program: str, target: Target, answer: Mapping[str, str], endpoint: str) -> Session:
    """Of StartSession's answer, with a key that is pushed now."""
    session = {key: answer[key] for key in ("SessionId", "TokenValue", "StreamUrl")}
    command = [
        program, RESPONSE_VARIABLE, target.region, "StartSession", target.profile, json.dumps(target.request), endpoint,
    ]  # fmt: skip
    return Session(answer["SessionId"], command, {RESPONSE_VARIABLE: json.dumps(session)}, time.time())


def clients(target: Target) -> Callable[[str], Any]:
    """Makes clients of services, by botocore's name."""
    try:
        from botocore.config import Config  # noqa: PLC0415 - the message below instead of a traceback
        from botocore.session import Session  # noqa: PLC0415
    except ImportError as error:
        raise ProxyError(f"{sys.executable} has no botocore, by which AWS is asked. Install boto3 for it.") from error
    make: Any = Session(profile=target.profile or None).create_client
    config = Config(retries=RETRIES, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
    return lambda service: make(service, region_name=target.region, config=config)


def connect(
    target: Target, public_key: Path, program: str, known_hosts: Path | None = None, folder: str = HOST_KEYS
) -> Session:
    """Everything before the plugin, ``program``. ``known_hosts``: file to write the host's keys to, which it has published under
    ``folder`` of Parameter Store; without it they are not read. Raises ProxyError, and OSError of a file."""
    program = plugin(program)
    doing = "Reading the AWS settings"
    try:
        key = public_key.read_text(encoding="utf-8").strip()
        client = clients(target)
        ssm = client("ssm")
        if known_hosts is not None:
            doing = "Reading the published host keys (ssm:GetParameter)"
            write_known_hosts(known_hosts, target.instance, host_keys(ssm, target, folder))
        doing = f"Starting a session by document {DOCUMENT} (ssm:StartSession)"
        answer = start_session(ssm, lambda: client("ec2"), target)
        try:
            # Last: it is valid for a minute, and a throttled StartSession may take longer.
            doing = "Pushing the public key (ec2-instance-connect:SendSSHPublicKey)"
            push_key(client("ec2-instance-connect"), target, key)
        except Exception:
            ssm.terminate_session(SessionId=answer["SessionId"])
            raise
    except (ProxyError, OSError):
        raise
    except Exception as error:
        raise explained(error, doing, target) from error
    return started(program, target, answer, ssm.meta.endpoint_url)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="proxy.py", description="ProxyCommand of SSH through Session Manager.")
    made.add_argument("instance", help="instance id (%%h)")
    made.add_argument("--user", required=True, help="user of the host (%%r)")
    made.add_argument("--port", type=int, default=22, help="port of the host's sshd (%%p)")
    made.add_argument("--region", required=True, help="region of the host")
    made.add_argument("--profile", default="", help="profile of the AWS credentials")
    made.add_argument("--public-key", type=_path, required=True, help="file of the public key to push")
    made.add_argument(
        "--known-hosts", type=_path, help="file to write the host's published keys to; without it they are not read"
    )
    made.add_argument("--host-keys", default=HOST_KEYS, help="Parameter Store path of the published host keys")
    made.add_argument("--plugin", default="session-manager-plugin", help="the program that carries a session")
    return made


def main(argv: Sequence[str] | None = None) -> NoReturn:
    arguments = parser().parse_args(argv)
    target = Target(arguments.instance, arguments.user, arguments.port, arguments.region, arguments.profile)
    try:
        session = connect(target, arguments.public_key, arguments.plugin, arguments.known_hosts, arguments.host_keys)
        # ssh's own stream, without anything between.
        os.execve(session.command[0], session.command, {**os.environ, **session.environment})  # noqa: S606
    except (ProxyError, OSError) as error:
        sys.exit(f"session_manager_ssh: {error}")


if __name__ == "__main__":
    main()
