"""A lab of the benchmarks' own with hosts to measure on."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
LAB = str(Path(sys.executable).parent / "lab")
ENVIRONMENT = {**os.environ, "LAB_NAME": "bench", "NO_COLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
IMAGE_PARAMETERS = {
    "al2": "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2",
    "al2023": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
}


class BenchmarkError(Exception):
    """A benchmark could not be measured; the message has the command and what it said."""


class Hosts:
    """``count`` bare hosts of one OS, for as long as the ``with`` lasts."""

    def __init__(self, os_name: str, count: int) -> None:
        self.os = os_name
        self.count = count
        self._folder = tempfile.TemporaryDirectory(prefix="fleet-bench-")

    def __enter__(self) -> Hosts:
        print(f"bench: starting {self.count} {self.os} hosts on a lab of their own", flush=True)
        _run([LAB, "up", "--os", self.os], timeout=900)
        try:
            self._launch()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run([LAB, "down"], timeout=120)
        self._folder.cleanup()

    def _launch(self) -> None:
        image = self._aws("ssm", "get-parameter", "--name", IMAGE_PARAMETERS[self.os])["Parameter"]["Value"]
        subnet = self._aws("ec2", "describe-subnets", "--filters", "Name=tag:Tier,Values=app")["Subnets"][0]["SubnetId"]
        launch = ["--image-id", image, "--subnet-id", subnet, "--key-name", "lab", "--count", str(self.count)]
        started = self._aws("ec2", "run-instances", *launch)["Instances"]
        _run(
            [
                LAB,
                "run",
                "aws",
                "ec2",
                "wait",
                "instance-status-ok",
                "--instance-ids",
                *(i["InstanceId"] for i in started),
            ],
            timeout=120,
        )
        hosts = {i["InstanceId"]: {"ansible_host": i["PrivateIpAddress"]} for i in started}
        variables = yaml.safe_load((ROOT / "inventory/lab/group_vars/all/10-lab.yml").read_text())
        variables = {key: value for key, value in variables.items() if key.startswith("ansible_")}
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))

    @property
    def inventory(self) -> Path:
        return Path(self._folder.name) / "hosts.yml"

    def _aws(self, *argv: str) -> Any:
        return json.loads(_run([LAB, "run", "aws", "--output", "json", *argv], timeout=60))

    def play(self, play: dict[str, Any], *arguments: str) -> float:
        """Run one play on all hosts; the wall time of the whole process in seconds."""
        file = Path(self._folder.name) / "play.yml"
        file.write_text(yaml.safe_dump([{"hosts": "all", "become": True, **play}], sort_keys=False))
        start = time.perf_counter()
        _run([LAB, "run", "ansible-playbook", "-i", str(self.inventory), str(file), *arguments], timeout=600)
        return time.perf_counter() - start


def alternate(runs: int, ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """Medians of ``runs`` runs each, in turn, so that a machine that drifts is fair to both; one of each before that isn't counted."""
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(runs)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def _run(argv: list[str], timeout: float) -> str:
    done = subprocess.run(argv, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise BenchmarkError(
            f"`{' '.join(argv)}` ended with exit code {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}"
        )
    return done.stdout
