"""The Packer template: formatted, valid for every committed combination, and refusing what a person gets wrong."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKER = ROOT / "build" / "bin" / "packer"
OS = ("al2", "al2023")
ENVIRONMENTS = ("lab", "staging", "prod")
RELEASE = {
    "artifact_url": "s3://bucket/shop.tar.gz",
    "artifact_sha256": "0" * 64,
    "artifact_version": "1.0.0",
    "git_commit": "0" * 40,
}

pytestmark = pytest.mark.skipif(not PACKER.exists(), reason="Packer is not set up: scripts/packer")


def packer(*argv: str) -> subprocess.CompletedProcess[str]:
    path = f"{ROOT}/.venv/bin:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": "/nonexistent", "PACKER_CONFIG_DIR": str(ROOT / "build" / "packer")}
    return subprocess.run(
        [str(PACKER), *argv], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def validate(os_name: str, environment_name: str, /, **changed: str) -> subprocess.CompletedProcess[str]:
    files = [f"-var-file=packer/vars/{name}.pkrvars.hcl" for name in (os_name, environment_name)]
    values = [f"-var={key}={value}" for key, value in (RELEASE | changed).items()]
    return packer("validate", *files, *values, "packer")


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What Packer said, in one line: it wraps its messages."""
    return " ".join((done.stdout + done.stderr).split())


def test_the_template_is_formatted() -> None:
    done = packer("fmt", "-check", "-diff", "-recursive", "packer")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("os_name", "environment"), list(itertools.product(OS, ENVIRONMENTS)))
def test_every_committed_combination_is_valid(os_name: str, environment: str) -> None:
    done = validate(os_name, environment)
    assert done.returncode == 0, said(done)


def test_arm64_is_valid() -> None:
    assert validate("al2023", "prod", architecture="arm64").returncode == 0


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("os", "debian", "Unknown OS; use al2 or al2023"),
        ("architecture", "riscv64", "use x86_64 or arm64"),
        ("environment", "Prod!", "with a directory in packer/inventory"),
        ("region", "east", "must look like us-east-1"),
        ("kms_keys", '{us-east-1="alias/aws/ebs", us-west-2="alias/x"}', "Use a key of your own"),
        ("kms_keys", '{us-east-1="x"}', "must be an alias"),
        ("subnet_filters", "{}", "Name at least one filter"),
        ("ssh_source_cidrs", '["0.0.0.0/0"]', "(everybody) is refused"),
        ("root_volume_gib", "4", "8 to 16384 GiB"),
        ("deprecate_after_days", "-1", "0 (never) to 3650 days"),
        ("tags", '{Application="x"}', "Application, Team and Cost-Center are required"),
        ("artifact_url", "ftp://x/y", "must start with s3://, https:// or file://"),
        ("artifact_sha256", "abc", "64 hexadecimal digits"),
        ("artifact_version", "-1", "letters, digits"),
        ("artifact_kind", "java", "nodejs or python"),
        ("git_commit", "HEAD", "40 hexadecimal digits"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(variable: str, value: str, message: str) -> None:
    done = validate("al2023", "prod", **{variable: value})
    assert done.returncode != 0
    assert message in said(done)


def test_an_environment_without_an_inventory_is_refused() -> None:
    done = validate("al2023", "prod", environment="nowhere")
    assert done.returncode != 0 and "packer/inventory/nowhere" in said(done).replace(" ", "")
