"""A lab of its own with a published release, in which images are baked: what the tests of images share."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.labs import environment, own_name

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EAST, WEST = "us-east-1", "us-west-2"
RELEASE = "1.0.0"


class ImageLab:
    """Commands in a lab that no other test uses. ``state`` puts its files somewhere else, such as on a small disk."""

    def __init__(self, name: str, os_name: str, state: Path | None = None) -> None:
        self.os = os_name
        self.parameter = f"/fleet/ecommerce-web/lab/{os_name}/ami"
        self.environment = environment(own_name(name, state), ANSIBLE_FORCE_COLOR="0")
        if state:
            self.environment["LAB_STATE"] = str(state)

    def lab(self, *argv: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "lab"), *argv],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def up(self) -> None:
        done = self.lab("up", "--os", self.os)
        assert done.returncode == 0, done.stdout

    def aws(self, *argv: str, region: str = EAST) -> Any:
        done = self.lab("run", "aws", "--region", region, "--output", "json", *argv, timeout=120)
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout or "{}")

    def play(self, playbook: str, *argv: str, **variables: object) -> subprocess.CompletedProcess[str]:
        extra = json.dumps({"fleet_os": self.os, **variables})
        return self.lab(
            "run", "ansible-playbook", "-i", "inventory/lab", f"playbooks/{playbook}.yml", "-e", extra, *argv
        )

    def publish_release(self, out: Path) -> dict[str, str]:
        """Build the shop and register it; returns the release as a bake takes it."""
        argv = [sys.executable, "examples/shop/build.py", "--kind", "nodejs", "--version", RELEASE, "--out", str(out)]
        subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=60)
        artifact = next(out.glob("*.tar.gz"))
        digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
        done = self.play(
            "publish_release",
            fleet_release_version=RELEASE,
            fleet_release_kind="nodejs",
            fleet_release_file=str(artifact),
            fleet_release_sha256=digest,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        found = self.aws("ssm", "get-parameter", "--name", f"/fleet/ecommerce-web/lab/releases/{RELEASE}")
        return dict(json.loads(found["Parameter"]["Value"]))

    def bake(self, release: Mapping[str, str], **changed: str) -> subprocess.CompletedProcess[str]:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        ).stdout.strip()
        values = {f"artifact_{key}": release[key] for key in ("kind", "version", "url", "sha256")}
        values |= {"git_commit": commit, **changed}
        files = [f"-var-file=packer/vars/{name}.pkrvars.hcl" for name in (self.os, "lab")]
        variables = [f"-var={key}={value}" for key, value in values.items()]
        return self.lab("run", "packer", "build", "-color=false", *files, *variables, "packer")

    def images(self, region: str) -> list[dict[str, Any]]:
        """The account's own images, the newest last."""
        found = self.aws("ec2", "describe-images", "--owners", "self", region=region)["Images"]
        return sorted(found, key=lambda image: str(image["CreationDate"]))

    def hosts(self, region: str) -> list[str]:
        """Instances that are not terminated."""
        reservations = self.aws("ec2", "describe-instances", region=region)["Reservations"]
        instances = [i for r in reservations for i in r["Instances"]]
        return [i["InstanceId"] for i in instances if i["State"]["Name"] != "terminated"]

    def leftovers(self) -> dict[str, list[str]]:
        """What a bake must not leave behind, whether it succeeded or not."""
        groups = self.aws("ec2", "describe-security-groups")["SecurityGroups"]
        pairs = self.aws("ec2", "describe-key-pairs")["KeyPairs"]
        snapshots = self.aws("ec2", "describe-snapshots", "--owner-ids", "self")["Snapshots"]
        base = self.aws("ec2", "describe-images", "--owners", "amazon")["Images"]
        amazons = {m["Ebs"]["SnapshotId"] for image in base for m in image["BlockDeviceMappings"]}
        return {
            "hosts": self.hosts(EAST) + self.hosts(WEST),
            "key pairs": [p["KeyName"] for p in pairs if p["KeyName"] != "lab"],
            "security groups": [g["GroupName"] for g in groups if g["GroupName"].startswith("packer")],
            "unencrypted snapshots": [
                s["SnapshotId"] for s in snapshots if not s["Encrypted"] and s["SnapshotId"] not in amazons
            ],
        }

    def parameters(self, region: str) -> dict[str, str]:
        names = [self.parameter, f"{self.parameter}-previous"]
        found = self.aws("ssm", "get-parameters", "--names", *names, region=region)["Parameters"]
        return {p["Name"].removeprefix(self.parameter) or "current": p["Value"] for p in found}


NOTHING: dict[str, list[str]] = {"hosts": [], "key pairs": [], "security groups": [], "unencrypted snapshots": []}
