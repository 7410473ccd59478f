"""The main job, step by step: bake, publish, launch, configure, roll, patch. Each step runs the same commands that a person would."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.console import Screen, StepFailedError, fail

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
LAB = str(BIN / "lab")
REGION, DR_REGION = "us-east-1", "us-west-2"
FIRST, SECOND = "1.0.0", "1.1.0"
LOAD_RATE = 160.0
RECAP = re.compile(
    r"^(?P<host>\S+)\s+: ok=\d+\s+changed=(?P<changed>\d+)\s+unreachable=(?P<unreachable>\d+)\s+failed=(?P<failed>\d+)"
)


@dataclass
class Result:
    """What was measured; the fields of summary.json."""

    os: str
    hosts: int = 0
    zones: dict[str, int] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    dr_host_answered: bool = False
    first_run_changed: int = -1
    second_run_changed: int = -1
    controls: dict[str, int] = field(default_factory=dict)
    """Hardening controls by result, summed over the hosts."""
    requests_total: int = 0
    requests_failed: int = 0
    requests_wrong: int = 0
    latency_p50_ms: float = 0.0
    latency_p95_ms: float = 0.0
    latency_max_ms: float = 0.0
    patched_hosts: int = 0
    patched: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def open_controls(self) -> int:
        """How many hardening controls fail or could not be checked."""
        return sum(self.controls.get(status, 0) for status in ("fail", "error"))


def changed(output: str) -> int:
    """Sum of ``changed`` over the hosts of a play's recap, the control node left out."""
    hosts = [m for line in output.splitlines() if (m := RECAP.match(line)) and m["host"] != "localhost"]
    if not hosts:
        raise StepFailedError("the playbook's output has no recap of hosts: nothing was configured")
    return sum(int(m["changed"]) for m in hosts)


def commit() -> str:
    """The commit that the image is made from; ``-dirty`` after it if the checkout has changes."""
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout.strip()
    changes = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    return head + ("-dirty" if changes else "")


class Demo:
    def __init__(self, os_name: str, out: Path, screen: Screen) -> None:
        self.os = os_name
        self.out = out
        self.logs = out / "logs"
        self.screen = screen
        self.result = Result(os=os_name)
        self._load: subprocess.Popen[bytes] | None = None

    # How commands run -----------------------------------------------------------------------------------------------------------------

    def lab(self, name: str, title: str, *argv: str, timeout: float = 600) -> str:
        """A command in the lab's network with the lab's credentials."""
        return self.screen.run(title, [LAB, "run", *argv], self.logs / f"{name}.log", timeout=timeout)

    def play(self, name: str, title: str, playbook: str, **variables: object) -> str:
        extra = json.dumps({"fleet_os": self.os, **variables})
        return self.lab(
            name, title, "ansible-playbook", "-i", "inventory/lab", f"playbooks/{playbook}.yml", "-e", extra
        )

    def aws(self, *argv: str, region: str = REGION) -> Any:
        """The JSON answer of an AWS command."""
        done = subprocess.run(
            [LAB, "run", "aws", "--region", region, "--output", "json", *argv],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise StepFailedError(f"aws {' '.join(argv)}: {done.stderr.strip()}")
        return json.loads(done.stdout or "{}")

    @property
    def fleet(self) -> str:
        return f"ecommerce-web-lab-{self.os}"

    def address(self, region: str = REGION) -> str:
        found = self.aws("elbv2", "describe-load-balancers", "--names", self.fleet, region=region)
        return str(found["LoadBalancers"][0]["DNSName"])

    def answer(self, region: str) -> dict[str, Any]:
        """What the shop's /version answers through the load balancer of a region; raises if it does not answer 200."""
        url = f"http://{self.address(region)}/version"
        done = subprocess.run(
            [LAB, "run", "curl", "--silent", "--show-error", "--fail", "--max-time", "10", url],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise StepFailedError(f"{url} in {region} does not answer: {done.stderr.strip()}")
        return dict(json.loads(done.stdout))

    # Steps ----------------------------------------------------------------------------------------------------------------------------

    def start_lab(self) -> None:
        title = "Start the local AWS"
        with self.screen.step("lab", title):
            self.screen.run(title, [LAB, "down"], self.logs / "lab-down.log", timeout=120)
            self.screen.run(title, [LAB, "up", "--os", self.os], self.logs / "lab-up.log", timeout=900)

    def publish_releases(self) -> None:
        title = f"Publish releases {FIRST} and {SECOND} of the shop"
        with self.screen.step("releases", title):
            runtime = self._build_runtime() if self.os == "al2" else {}
            for version in (FIRST, SECOND):
                artifact = self._build_shop(version)
                digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
                self.play(
                    f"release-{version}", title, "publish_release", fleet_release_version=version, fleet_release_kind="nodejs",
                    fleet_release_file=str(artifact), fleet_release_sha256=digest, **runtime,
                )  # fmt: skip

    def _build_runtime(self) -> dict[str, str]:
        """Amazon Linux 2 has no package of Node.js, so there each release brings its own."""
        argv = [sys.executable, "examples/shop/node_runtime.py", "--out", str(self.out / "shop")]
        archive = Path(self.screen.run("build the runtime", argv, self.logs / "runtime.log", timeout=120).split()[0])
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        return {"fleet_release_runtime_file": str(archive), "fleet_release_runtime_sha256": digest}

    def _build_shop(self, version: str) -> Path:
        out = self.out / "shop"
        argv = [sys.executable, "examples/shop/build.py", "--kind", "nodejs", "--version", version, "--out", str(out)]
        self.screen.run("build the shop", argv, self.logs / f"shop-{version}.log", timeout=60)
        return next(out.glob(f"*nodejs*{version}.tar.gz"))

    def bake(self) -> None:
        title = f"Bake the web image for {self.os} with Packer"
        with self.screen.step("bake", title):
            release = self.aws("ssm", "get-parameter", "--name", f"/fleet/ecommerce-web/lab/releases/{FIRST}")
            artifact = json.loads(release["Parameter"]["Value"])
            variables = {f"artifact_{key}": artifact[key] for key in ("version", "url", "sha256", "kind")}
            variables["git_commit"] = commit()
            if "runtime" in artifact:
                variables["artifact_runtime"] = json.dumps(artifact["runtime"])
            self.lab(
                "bake", title, "packer", "build", "-color=false", "-var-file=packer/vars/lab.pkrvars.hcl",
                f"-var-file=packer/vars/{self.os}.pkrvars.hcl", *(f"-var={key}={value}" for key, value in variables.items()), "packer",
                timeout=900,
            )  # fmt: skip

    def publish_image(self) -> None:
        title = f"Test the image in {REGION} and {DR_REGION}, publish it"
        with self.screen.step("publish", title):
            self.play("publish-image", title, "publish_image")
            for region in (REGION, DR_REGION):
                found = self.aws(
                    "ssm", "get-parameter", "--name", f"/fleet/ecommerce-web/lab/{self.os}/ami", region=region
                )
                self.result.images[region] = found["Parameter"]["Value"]

    def launch(self) -> None:
        title = "Launch three hosts over three zones behind a load balancer"
        with self.screen.step("launch", title):
            self.play("launch", title, "fleet")
            self.answer(REGION)
            group = self.aws("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", self.fleet)
            members = group["AutoScalingGroups"][0]["Instances"]
            self.result.hosts = len(members)
            for member in members:
                zone = member["AvailabilityZone"]
                self.result.zones[zone] = self.result.zones.get(zone, 0) + 1

    def launch_dr(self) -> None:
        title = f"Start a host from the copy in {DR_REGION}"
        with self.screen.step("dr", title):
            self.play("dr", title, "fleet", fleet_region=DR_REGION, fleet_min_size=1, fleet_desired_size=1)
            self.result.dr_host_answered = self.answer(DR_REGION)["version"] == FIRST

    def configure(self) -> None:
        self.result.first_run_changed = self._site("configure", "Configure the fleet with site.yml")
        self.result.second_run_changed = self._site("configure_again", "Configure it again: nothing may change")

    def _site(self, name: str, title: str) -> int:
        with self.screen.step(name, title):
            count = changed(self.play(name, title, "site"))
        self.screen.say(f"{count} changed")
        return count

    def audit(self) -> None:
        title = "Audit every hardening control on every host"
        with self.screen.step("audit", title):
            self.play("audit", title, "audit", hardening_report_dir=str(self.out / "hardening"))
        report = json.loads((self.out / "hardening" / "fleet.json").read_text())
        if len(report["hosts"]) != self.result.hosts:
            raise StepFailedError(f"the audit reached {len(report['hosts'])} of {self.result.hosts} hosts")
        self.result.controls = report["summary"]
        passed = report["summary"].get("pass", 0)
        self.screen.say(
            f"{passed} pass, {self.result.open_controls} fail or could not be checked; see {self.out.name}/hardening/fleet.html"
        )

    def roll(self) -> None:
        title = f"Roll release {SECOND} through the fleet under load"
        with self.screen.step("roll", title):
            self.play("roll", title, "roll", fleet_release_version=SECOND)
        seen = self.answer(REGION)["version"]
        if seen != SECOND:
            raise StepFailedError(f"the roll ended, but the fleet answers with release {seen} instead of {SECOND}")

    def patch(self) -> None:
        title = "Install a security update through Systems Manager under load"
        with self.screen.step("patch", title):
            self.screen.run(title, [LAB, "advisory", "publish"], self.logs / "advisory.log", timeout=60)
            output = self.play("patch", title, "patch")
        self.result.patched = self._patch_reports(output)
        self.result.patched_hosts = sum(bool(r["updated"]) and r["pending"] == 0 for r in self.result.patched.values())

    def _patch_reports(self, output: str) -> dict[str, Any]:
        """The reports that the patch document printed on the hosts, read back from Systems Manager."""
        listed = self.aws("ssm", "list-command-invocations", "--details")["CommandInvocations"]
        reports = {}
        for item in listed:
            if item["DocumentName"] != "fleet-patch-host" or item["Status"] != "Success":
                continue
            read = self.aws(
                "ssm", "get-command-invocation", "--command-id", item["CommandId"], "--instance-id", item["InstanceId"]
            )
            reports[item["InstanceId"]] = json.loads(read["StandardOutputContent"].strip().splitlines()[-1])
        if not reports:
            raise StepFailedError(f"no host reported what it patched; the output of the playbook:\n{output[-2000:]}")
        return reports

    # Load -----------------------------------------------------------------------------------------------------------------------------

    def start_load(self) -> None:
        log = (self.logs / "load.log").open("wb")
        argv = [
            LAB, "run", str(BIN / "python"), "-m", "demo.load", "--url", f"http://{self.address()}", "--out", str(self.out / "load.csv"),
            "--rate", str(LOAD_RATE), "--version", FIRST, "--version", SECOND,
        ]  # fmt: skip
        self._load = subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        time.sleep(1)
        if self._load.poll() is not None:
            raise StepFailedError(f"the load generator ended at once; see {self.logs / 'load.log'}")

    def stop_load(self) -> None:
        """Let the load generator wait for its last answers."""
        if self._load is None:
            return
        os.killpg(self._load.pid, 15)
        try:
            self._load.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self._load.pid, 9)
            self._load.wait(timeout=5)
        self._load = None


def prepare(out: Path) -> None:
    """An empty output folder: results of an earlier run must not pass for this one's. Only a demo's own folder is emptied."""
    if out.exists() and any(out.iterdir()) and not (out / "logs").is_dir():
        fail(f"{out} holds something that is not a demo's results; name an empty or new folder")
    if out.exists():
        shutil.rmtree(out)
    (out / "logs").mkdir(parents=True)
