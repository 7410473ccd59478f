"""The Packer template: formatted, valid for every committed combination, and refusing what a person gets wrong."""

from __future__ import annotations

import itertools
import json
import re
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


@pytest.mark.parametrize("kind", ["nodejs", "python", "java"])
def test_every_kind_that_the_role_app_runtime_runs_can_be_baked(kind: str) -> None:
    done = validate("al2023", "prod", artifact_kind=kind)
    assert done.returncode == 0, said(done)


def test_an_artifact_may_bring_its_runtime_as_a_published_release_names_it() -> None:
    runtime = json.dumps({"url": "s3://bucket/node.tar.xz", "sha256": "0" * 64})
    done = validate("al2", "prod", artifact_runtime=runtime)
    assert done.returncode == 0, said(done)


def test_arm64_is_valid() -> None:
    assert validate("al2023", "prod", architecture="arm64").returncode == 0


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("os", "debian", "Unknown OS; use al2 or al2023"),
        ("architecture", "riscv64", "use x86_64 or arm64"),
        ("environment", "Prod!", "with a directory in inventory/"),
        ("region", "east", "must look like us-east-1"),
        ("kms_keys", '{us-east-1="alias/aws/ebs", us-west-2="alias/x"}', "Use a key of your own"),
        ("kms_keys", '{us-east-1="x"}', "must be an alias"),
        (
            "kms_keys",
            '{us-east-1="alias/x", us-west-2="arn:aws:kms:us-east-1:111111111111:key/a-b"}',
            "of the region that it is given for",
        ),
        ("kms_keys", '{us-east-1="arn:aws:kms:us-east-1:1:key/a-b", us-west-2="alias/x"}', "must be whole"),
        ("subnet_filters", "{}", "Name at least one filter"),
        ("ssh_source_cidrs", '["0.0.0.0/0"]', "(everybody) is refused"),
        ("root_volume_gib", "4", "8 to 16384 GiB"),
        ("deprecate_after_days", "-1", "0 (never) to 3650 days"),
        ("tags", '{Application="x"}', "Application, Team and Cost-Center are required"),
        ("artifact_url", "ftp://x/y", "must start with s3://, https:// or file://"),
        ("artifact_sha256", "abc", "64 hexadecimal digits"),
        ("artifact_version", "-1", "letters, digits"),
        ("artifact_kind", "perl", "nodejs, python or java"),
        ("artifact_runtime", '{url="s3://x/y", sha256="abc"}', "a sha256 of 64 hexadecimal digits"),
        ("artifact_runtime", '{url="http://x/y", sha256="' + "0" * 64 + '"}', "starts with s3://, https:// or file://"),
        ("artifact_runtime", '{url="s3://x/y"}', 'attribute "sha256" is required'),
        ("git_commit", "HEAD", "40 hexadecimal digits"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(variable: str, value: str, message: str) -> None:
    done = validate("al2023", "prod", **{variable: value})
    assert done.returncode != 0
    assert message in said(done)


TAGS = {"Application": "ecommerce-web", "Team": "platform-team", "Cost-Center": "engineering"}


def with_tags(**changed: str) -> subprocess.CompletedProcess[str]:
    return validate("al2023", "prod", tags=json.dumps({**TAGS, **changed}))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"aws:team": "x"}, "must not begin with aws:"),
        ({"AWS:Team": "x"}, "must not begin with aws:"),
        ({"k" * 129: "x"}, "1 to 128 letters"),
        ({"": "x"}, "1 to 128 letters"),
        ({"a\nb": "x"}, "1 to 128 letters"),
        ({"Purpose": "v" * 257}, "at most 256 letters"),
        ({"Purpose": "50% off"}, "at most 256 letters"),
        ({"Purpose": "a\tb"}, "at most 256 letters"),
        ({"Application": ""}, "part of the image's name"),
        ({"Application": "web shop"}, "part of the image's name"),
        ({"Application": "caf\u00e9"}, "part of the image's name"),
        ({"Application": "a" * 81}, "part of the image's name"),
        ({"State": "published"}, "set the tags Name, Role, State"),
        ({f"key-{number}": "x" for number in range(35)}, "at most 37 tags"),
    ],
)
def test_what_aws_would_refuse_of_the_finished_image_is_refused_before_the_build(
    tags: dict[str, str], message: str
) -> None:
    done = with_tags(**tags)
    assert done.returncode != 0
    assert message in said(done)


def test_what_aws_takes_as_tags_is_valid() -> None:
    odd = {"k" * 128: "v" * 256, "Empty": "", "\u00dcber uns": "Caf\u00e9 1/2 = a+b@c_d:e.f-g", "my-aws:x": "aws:y"}
    done = with_tags(**odd, **{f"key-{number}": "x" for number in range(30)}, Application="a" * 80)
    assert done.returncode == 0, said(done)


@pytest.mark.parametrize("os_name", OS)
def test_the_longest_names_that_are_valid_make_an_image_name_and_a_description_that_aws_takes(os_name: str) -> None:
    """CreateImage: a name of 3 to 128 characters, letters, digits and ( ) [ ] space . / - ' @ _, and a description of 255 at most."""
    values = {"Application": "a" * 80, "environment": "e" * 16, "architecture": "x86_64", "version": "1" * 64}
    name = f"{values['Application']}-{values['environment']}-{os_name}-{values['architecture']}-20261129T101112Z"
    source = (ROOT / "packer/source.pkr.hcl").read_text()
    assert '"${var.tags["Application"]}-${var.environment}-${var.os}-${var.architecture}-${local.stamp}"' in source
    assert re.fullmatch(r"[\w()\[\] ./'@-]{3,128}", name, re.ASCII)
    assert '"${var.tags["Application"]} web host on ${var.os}, release ${var.artifact_version}"' in source
    assert len(f"{values['Application']} web host on {os_name}, release {values['version']}") <= 255


def test_an_environment_without_an_inventory_is_refused() -> None:
    done = validate("al2023", "prod", environment="nowhere")
    assert done.returncode != 0 and "inventory/nowhere/bake.yml" in said(done).replace(" ", "")
