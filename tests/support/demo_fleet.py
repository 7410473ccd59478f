"""Labs in which the demo has run, used by commands as a person uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.labs import environment, own_name

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LAB = str(BIN / "lab")
AFTER_DEMO = "demo"


def output(done: subprocess.CompletedProcess[str]) -> str:
    """A command's output, without the line breaks that Ansible puts into long messages."""
    return " ".join((done.stdout + done.stderr).split())


class DemoLab:
    """A lab of its own: one that a developer has up is left alone. ``out``: where the demo writes, not where a user's demo does."""

    def __init__(self, out: Path) -> None:
        self.name = own_name("e2e")
        self.out = out

    def run(self, *argv: str, timeout: float = 600, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command as a user types it, whatever its exit code."""
        return subprocess.run(
            list(argv),
            cwd=ROOT,
            env={**environment(self.name), **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """The same in the background, in a session of its own: to be killed in the middle."""
        return subprocess.Popen(
            list(argv),
            cwd=ROOT,
            env=environment(self.name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def demo(self, os_name: str) -> list[str]:
        """The words of the demo's command."""
        return [sys.executable, "-m", "demo", "--os", os_name, "--out", str(self.out)]

    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "summary.json").read_text()))

    def save(self, name: str) -> None:
        done = self.run(LAB, "save", name, timeout=200)
        assert done.returncode == 0, done.stderr

    def restore(self, name: str) -> None:
        done = self.run(LAB, "restore", name, timeout=200)
        assert done.returncode == 0, done.stderr

    def down(self) -> subprocess.CompletedProcess[str]:
        return self.run(LAB, "down", timeout=120)


@dataclass
class Prepared:
    """The lab after the demo on Amazon Linux 2."""

    lab: DemoLab
    summary: dict[str, Any]
    at: str | None = AFTER_DEMO
    """The save that the lab is as now; None once a test may have changed it."""

    def go_to(self, save: str) -> None:
        if self.at != save:
            self.lab.restore(save)
            self.at = save

    @property
    def fleet(self) -> Fleet:
        return Fleet(self.lab, self.summary["os"])


class Fleet:
    """The fleet that the demo leaves running in a lab."""

    def __init__(self, lab: DemoLab, os_name: str) -> None:
        self.lab = lab
        self.os = os_name
        self.name = f"ecommerce-web-lab-{os_name}"

    def play(self, playbook: str, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        return self.lab.run(*self._playbook(playbook, variables), *arguments)

    def start(self, playbook: str, **variables: object) -> subprocess.Popen[str]:
        """The same, in the background: to be killed in the middle."""
        return self.lab.start(*self._playbook(playbook, variables))

    def _playbook(self, playbook: str, variables: dict[str, object]) -> list[str]:
        extra = json.dumps({"fleet_os": self.os, **variables})
        return [LAB, "run", "ansible-playbook", "-i", "inventory/lab", f"playbooks/{playbook}.yml", "-e", extra]

    def aws(self, *argv: str) -> Any:
        done = self.lab.run(LAB, "run", "aws", "--output", "json", *argv)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "{}")

    def group(self) -> dict[str, Any]:
        found = self.aws("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", self.name)
        return dict(found["AutoScalingGroups"][0])

    def lifecycle(self) -> list[str]:
        return sorted(i["LifecycleState"] for i in self.group()["Instances"])

    def scale(self, desired: int) -> None:
        """Have the group launch or end hosts; returns at once."""
        argv = ("--auto-scaling-group-name", self.name, "--desired-capacity", str(desired))
        self.aws("autoscaling", "set-desired-capacity", *argv)

    def healthy(self) -> int:
        """How many hosts the load balancer calls healthy."""
        group = self.aws("elbv2", "describe-target-groups", "--names", self.name)["TargetGroups"][0]["TargetGroupArn"]
        found = self.aws("elbv2", "describe-target-health", "--target-group-arn", group)["TargetHealthDescriptions"]
        return sum(target["TargetHealth"]["State"] == "healthy" for target in found)

    def journal(self) -> dict[str, Any]:
        found = self.aws("ssm", "get-parameter", "--name", f"/fleet/ecommerce-web/lab/{self.os}/operation")
        return dict(json.loads(found["Parameter"]["Value"]))

    def versions(self, requests: int = 12) -> set[str]:
        """The releases that answer through the load balancer; every request must succeed."""
        address = self.aws("elbv2", "describe-load-balancers", "--names", self.name)["LoadBalancers"][0]["DNSName"]
        urls = [f"http://{address}/version"] * requests
        done = self.lab.run(LAB, "run", "curl", "--silent", "--show-error", "--fail", "-w", "\n", *urls)
        assert done.returncode == 0, done.stderr
        return {json.loads(line)["version"] for line in done.stdout.splitlines() if line.strip()}


def kill(process: subprocess.Popen[str]) -> None:
    """The controller dies: the whole session, at once."""
    with suppress(ProcessLookupError):
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
