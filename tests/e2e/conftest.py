"""End to end: the demo as a user runs it, then faults injected into the fleet that it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
LAB = str(BIN / "lab")
# A lab of its own: one that a developer has up is left alone.
ENVIRONMENT = {**os.environ, "LAB_NAME": "e2e", "NO_COLOR": "1"}


def run(*argv: str, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as a user types it, in the tests' own lab; never raises for its exit code."""
    return subprocess.run(
        list(argv),
        cwd=ROOT,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said, without the line breaks that Ansible puts into long messages."""
    return " ".join((done.stdout + done.stderr).split())


def start(*argv: str) -> subprocess.Popen[str]:
    """The same in the background, in a session of its own: to be killed in the middle."""
    return subprocess.Popen(
        list(argv),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


class Fleet:
    """The fleet that the demo leaves running."""

    def __init__(self, os_name: str) -> None:
        self.os = os_name
        self.name = f"ecommerce-web-lab-{os_name}"

    def play(self, playbook: str, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        extra = json.dumps({"fleet_os": self.os, **variables})
        return run(
            LAB, "run", "ansible-playbook", "-i", "inventory/lab", f"playbooks/{playbook}.yml", "-e", extra, *arguments
        )

    def start(self, playbook: str, **variables: object) -> subprocess.Popen[str]:
        """The same, in the background: to be killed in the middle."""
        extra = json.dumps({"fleet_os": self.os, **variables})
        return start(LAB, "run", "ansible-playbook", "-i", "inventory/lab", f"playbooks/{playbook}.yml", "-e", extra)

    def aws(self, *argv: str) -> Any:
        done = run(LAB, "run", "aws", "--output", "json", *argv)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "{}")

    def group(self) -> dict[str, Any]:
        found = self.aws("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", self.name)
        return dict(found["AutoScalingGroups"][0])

    def lifecycle(self) -> list[str]:
        return sorted(i["LifecycleState"] for i in self.group()["Instances"])

    def journal(self) -> dict[str, Any]:
        found = self.aws("ssm", "get-parameter", "--name", f"/fleet/ecommerce-web/lab/{self.os}/operation")
        return dict(json.loads(found["Parameter"]["Value"]))

    def versions(self, requests: int = 12) -> set[str]:
        """The releases that answer through the load balancer; every request must succeed."""
        address = self.aws("elbv2", "describe-load-balancers", "--names", self.name)["LoadBalancers"][0]["DNSName"]
        urls = [f"http://{address}/version"] * requests
        done = run(LAB, "run", "curl", "--silent", "--show-error", "--fail", "-w", "\n", *urls)
        assert done.returncode == 0, done.stderr
        return {json.loads(line)["version"] for line in done.stdout.splitlines() if line.strip()}


def kill(process: subprocess.Popen[str]) -> None:
    """The controller dies: the whole session, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def wait_for_line(process: subprocess.Popen[str], text: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
        assert time.monotonic() < deadline, "".join(seen[-30:])
    raise AssertionError(f"ended without '{text}':\n" + "".join(seen[-30:]))


@pytest.fixture(scope="session")
def summary() -> Iterator[dict[str, Any]]:
    """The demo on Amazon Linux 2, once for all tests; its fleet stays up for them and is removed at the end."""
    done = run(sys.executable, "-m", "demo", "--os", "al2", timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    yield json.loads((ROOT / "build" / "demo" / "summary.json").read_text())
    run(LAB, "down", timeout=120)


@pytest.fixture(scope="session")
def fleet(summary: dict[str, Any]) -> Fleet:
    return Fleet(summary["os"])
