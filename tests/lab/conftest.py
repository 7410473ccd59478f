"""One lab for all of tests/lab, reached from the pytest process without entering its namespaces."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lab import inside, lifecycle, network, status
from lab import settings as names
from lab.forward import Forwarder
from lab.imds import MetadataServer, Service
from lab.imds_tree import InstanceMetadata, RoleCredentials
from lab.network import Network
from lab.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


def wait_for(what: str, condition: Callable[[], Any], timeout: float = 30, every: float = 0.1) -> Any:
    """The first true value of `condition`; fails the test, naming `what`, when there is none in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    pytest.fail(f"no {what} within {timeout:g} s")


@dataclass(frozen=True)
class RunningLab:
    settings: Settings
    api: str
    """Its AWS endpoint, forwarded to this process's loopback."""

    def client(
        self,
        service: str,
        region: str = names.DEFAULT_REGION,
        access_key: str = names.ACCESS_KEY,
        secret: str = names.SECRET_KEY,
        token: str | None = None,
    ) -> Any:
        make: Any = boto3.client
        return make(
            service,
            region_name=region,
            endpoint_url=self.api,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(
                retries={"max_attempts": 1}, s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=30
            ),
        )

    def command(
        self, *argv: str, env: dict[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """`lab ARGV…` as a user runs it; returns whatever its exit code."""
        return lab_command(self.settings, argv, env=env, timeout=timeout)

    def http(
        self,
        address: str,
        path: str = "/",
        *,
        port: int = 80,
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], str]:
        """One HTTP request inside the lab's network: status, headers (lower-case names), body."""
        connection = http.client.HTTPConnection(address, port, timeout=10)
        connection.sock = inside.connect(self.settings.netns_path, (address, port), timeout=10)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def lab_command(
    settings: Settings, argv: Sequence[str], *, env: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    own = {"LAB_NAME": settings.name, "LAB_STATE": str(settings.state), "LAB_CACHE": str(settings.cache)}
    return subprocess.run(
        [sys.executable, "-m", "lab", *argv],
        env={**os.environ, **own, **(env or {})},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass(frozen=True)
class Instance:
    """What the metadata service is told in tests that have no EC2."""

    instance_id: str = "i-0123456789abcdef0"
    image_id: str = "ami-0123456789abcdef0"
    instance_type: str = "t3.medium"
    region: str = "us-east-1"
    zone: str = "us-east-1b"
    account_id: str = "000000000000"
    address: str = "10.0.32.7"
    mac: str = "0a:00:0a:00:20:07"
    hostname: str = "ip-10-0-32-7.ec2.internal"
    subnet_id: str = "subnet-1"
    vpc_id: str = "vpc-1"
    security_groups: tuple[str, ...] = ("web", "ssh")
    launch_index: int = 0
    reservation_id: str = "r-1"
    user_data: bytes | None = b"#!/bin/sh\necho \xff\n"
    key_name: str | None = "lab"
    public_key: str | None = "ssh-ed25519 AAAA lab"
    profile_arn: str | None = "arn:aws:iam::000000000000:instance-profile/fleet-web"
    profile_id: str | None = "AIPA1"
    role_names: tuple[str, ...] = ("fleet-web",)
    enabled: bool = True
    tokens_required: bool = True
    hop_limit: int = 2
    tags: Mapping[str, str] | None = None


def issue(meta: InstanceMetadata, role: str) -> RoleCredentials:
    now = datetime.now(UTC)
    return RoleCredentials(f"ASIA-{role}", "secret", "session", now, now + timedelta(hours=6))


@pytest.fixture(scope="session")
def lab() -> Iterator[RunningLab]:
    """The lab that LAB_NAME names, if that is up; else one of the tests' own, which goes down at the end."""
    settings = Settings.load()
    found = status.read(settings)
    if found is None:
        settings = replace(
            Settings.load({**os.environ, "LAB_NAME": "pytest", "LAB_STATE": ""}), oses=names.OPERATING_SYSTEMS
        )
        lifecycle.up(settings, lambda message: print(f"lab: {message}", file=sys.stderr))
    forwarder = Forwarder(0, settings.netns_path)
    forwarder.target = (names.GATEWAY, names.API_PORT)
    threading.Thread(target=forwarder.serve_forever, daemon=True).start()
    try:
        yield RunningLab(settings, f"http://127.0.0.1:{forwarder.port}")
    finally:
        forwarder.shutdown()
        forwarder.server_close()
        if found is None:
            lifecycle.down(settings, lambda message: None)


@pytest.fixture(scope="session")
def ec2(lab: RunningLab) -> Any:
    return lab.client("ec2")


@pytest.fixture(scope="session")
def autoscaling(lab: RunningLab) -> Any:
    return lab.client("autoscaling")


@pytest.fixture(scope="session")
def elbv2(lab: RunningLab) -> Any:
    return lab.client("elbv2")


@pytest.fixture(scope="session")
def ssm(lab: RunningLab) -> Any:
    return lab.client("ssm")


def instance_at(address: str) -> Instance:
    """An instance whose id, names and MAC address follow from its address."""
    dashed = address.replace(".", "-")
    mac = "0a:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    return Instance(
        instance_id=f"i-{dashed}", address=address, hostname=f"ip-{dashed}.ec2.internal", mac=mac, user_data=None
    )


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A lab's network with a metadata service and no daemon, for machines and images alone."""
    state = tmp_path_factory.mktemp("bare") / "state"
    settings = Settings(name=f"t{os.getpid() % 1000000}", state=state, cache=Settings.load().cache)
    network.leftovers(settings)
    Network(settings).create()
    answers = Service(instance_at, issue)
    metadata = inside.call(settings.netns_path, lambda: MetadataServer(answers))
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    try:
        yield settings
    finally:
        metadata.shutdown()
        metadata.server_close()
        network.leftovers(settings)


@pytest.fixture(scope="session")
def base_root(bare: Settings) -> Path:
    """The root directory of the Amazon Linux 2023 stand-in."""
    from lab.standin.build import base_image

    bare.cache.mkdir(parents=True, exist_ok=True)
    return base_image("al2023", bare.cache, lambda message: print(f"base image: {message}", file=sys.stderr))
