"""A lab of the benchmarks' own with hosts to measure on."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tests.support.labs import environment, own_name

ROOT = Path(__file__).resolve().parent.parent.parent
LAB = str(Path(sys.executable).parent / "lab")
ENVIRONMENT = environment(own_name("bench"), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
IMAGE_PARAMETERS = {
    "al2": "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2",
    "al2023": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
}
TAGS = {"Environment": "lab", "Application": "ecommerce-web", "Role": "web"}


class BenchmarkError(Exception):
    """A benchmark could not be measured; the message has the command and what it said."""


class Lab:
    """A lab of the benchmarks' own, for as long as the ``with`` lasts."""

    def __init__(self, os_name: str) -> None:
        self.os = os_name
        self.folder = Path(tempfile.mkdtemp(prefix="fleet-bench-"))

    def __enter__(self) -> Lab:
        print(f"bench: starting a lab with {self.os}", flush=True)
        _run([LAB, "up", "--os", self.os], timeout=900)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run([LAB, "down"], timeout=120)
        shutil.rmtree(self.folder)

    def run(self, *argv: str, timeout: float = 600, **environment: str) -> str:
        """The output of a command in the lab's network with the lab's credentials."""
        return _run([LAB, "run", *argv], timeout=timeout, **environment)

    @property
    def key(self) -> str:
        """The file of the key that the hosts are started with."""
        return self.run("printenv", "LAB_SSH_KEY").strip()

    def aws(self, *argv: str) -> Any:
        return json.loads(self.run("aws", "--output", "json", *argv, timeout=60))

    @contextmanager
    def hosts(self, count: int) -> Iterator[Hosts]:
        """``count`` bare web hosts as the lab's inventory finds them, terminated at the end."""
        print(f"bench: starting {count} hosts", flush=True)
        image = self.aws("ssm", "get-parameter", "--name", IMAGE_PARAMETERS[self.os])["Parameter"]["Value"]
        subnet = self.aws("ec2", "describe-subnets", "--filters", "Name=tag:Tier,Values=app")["Subnets"][0]["SubnetId"]
        tags = ",".join(f"{{Key={key},Value={value}}}" for key, value in {**TAGS, "OS": self.os}.items())
        started = self.aws(
            "ec2", "run-instances", "--image-id", image, "--subnet-id", subnet, "--key-name", "lab", "--count", str(count),
            "--iam-instance-profile", "Name=fleet-web", "--tag-specifications", f"ResourceType=instance,Tags=[{tags}]",
            "--metadata-options", "HttpTokens=required,InstanceMetadataTags=enabled",
        )["Instances"]  # fmt: skip
        names = [instance["InstanceId"] for instance in started]
        try:
            self.run("aws", "ec2", "wait", "instance-status-ok", "--instance-ids", *names, timeout=120)
            yield Hosts(self, {i["InstanceId"]: i["PrivateIpAddress"] for i in started})
        finally:
            self.aws("ec2", "terminate-instances", "--instance-ids", *names)


class Hosts:
    """Hosts of one OS: `addresses` by instance id."""

    def __init__(self, lab: Lab, addresses: dict[str, str]) -> None:
        self.lab = lab
        self.os = lab.os
        self.count = len(addresses)
        self.addresses = addresses
        self.names = sorted(addresses)
        self.inventory = lab.folder / "hosts.yml"
        variables = yaml.safe_load((ROOT / "inventory/lab/group_vars/all/10-lab.yml").read_text())
        variables = {key: value for key, value in variables.items() if key.startswith("ansible_")}
        variables["ansible_user"] = "ec2-user"
        hosts = {name: {"ansible_host": address} for name, address in addresses.items()}
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))

    def play(self, play: dict[str, Any], *arguments: str) -> float:
        """Run one play on all hosts; the wall time of the whole process in seconds."""
        file = self.lab.folder / "play.yml"
        file.write_text(yaml.safe_dump([{"hosts": "all", "become": True, **play}], sort_keys=False))
        start = time.perf_counter()
        self.lab.run("ansible-playbook", "-i", str(self.inventory), str(file), *arguments)
        return time.perf_counter() - start

    def adhoc(self, module: str, *arguments: str, **variables: object) -> float:
        """Run a module on every web host of the lab's inventory; the wall time of the whole process in seconds."""
        extra = json.dumps({"fleet_os": self.os, **variables})
        start = time.perf_counter()
        self.lab.run("ansible", "-i", "inventory/lab", "web", "-m", module, "-e", extra, *arguments)
        return time.perf_counter() - start

    def playbook(self, name: str, *arguments: str, **variables: object) -> tuple[float, str]:
        """Run a playbook of the collection with the lab's inventory; its wall time in seconds and its output."""
        # A bare host publishes no keys before its first site.yml.
        extra = json.dumps({"fleet_os": self.os, "fleet_host_key_checking": "accept_new", **variables})
        start = time.perf_counter()
        output = self.lab.run(
            "ansible-playbook", "-i", "inventory/lab", f"playbooks/{name}.yml", "-e", extra, *arguments
        )
        return time.perf_counter() - start, output


def alternate(runs: int, ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """Medians of ``runs`` runs each, in turn, so that a machine that drifts is fair to both; one of each before that isn't counted."""
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(runs)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def _run(argv: list[str], timeout: float, **environment: str) -> str:
    done = subprocess.run(
        argv, cwd=ROOT, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode != 0:
        said = done.stdout + done.stderr
        # Ansible says what failed where it failed, far from the end.
        words = said[said.index("fatal:") :][:2000] if "fatal:" in said else said[-2000:]
        raise BenchmarkError(f"`{' '.join(argv)}` ended with exit code {done.returncode}:\n{words}")
    return done.stdout
