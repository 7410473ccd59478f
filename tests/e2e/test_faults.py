"""Every way in which an operation stops leaves the fleet serving and says how to go on."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from pathlib import Path

import pytest

from tests.e2e.conftest import LAB, ROOT, Fleet, kill, run, said, wait_for_line

pytestmark = pytest.mark.e2e


def shop(version: str, tmp_path: Path) -> Path:
    argv = [sys.executable, "examples/shop/build.py", "--kind", "nodejs", "--version", version, "--out", str(tmp_path)]
    done = run(*argv, timeout=60)
    assert done.returncode == 0, done.stderr
    return next(tmp_path.glob("*.tar.gz"))


def never_healthy(artifact: Path) -> Path:
    """The same release, but its process answers its health check with 500."""
    broken = artifact.with_name("broken-" + artifact.name)
    with tarfile.open(artifact) as source, tarfile.open(broken, "w:gz") as target:
        for member in source.getmembers():
            data = source.extractfile(member).read() if member.isfile() else None  # type: ignore[union-attr]
            if data and member.name.endswith(".js"):
                data = data.replace(b"'/health'", b"'/never'").replace(b'"/health"', b'"/never"')
                member.size = len(data)
            target.addfile(member, io.BytesIO(data) if data else None)
    return broken


def publish(fleet: Fleet, version: str, artifact: Path) -> None:
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    done = fleet.play(
        "publish_release", fleet_release_version=version, fleet_release_kind="nodejs", fleet_release_file=str(artifact),
        fleet_release_sha256=digest,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unpublished_release_is_refused_before_anything_changes(fleet: Fleet) -> None:
    done = fleet.play("roll", fleet_release_version="9.9.9")
    assert done.returncode != 0
    assert "Release 9.9.9 is not published for lab" in said(done)
    assert fleet.lifecycle() == ["InService"] * 3


def test_an_artifact_whose_checksum_differs_is_not_uploaded(fleet: Fleet, tmp_path: Path) -> None:
    done = fleet.play(
        "publish_release", fleet_release_version="1.2.9", fleet_release_kind="nodejs", fleet_release_file=str(shop("1.2.9", tmp_path)),
        fleet_release_sha256="0" * 64,
    )  # fmt: skip
    assert done.returncode != 0
    assert "announced was 000000" in said(done)
    assert "Nothing was uploaded" in said(done)


def test_a_roll_below_the_minimum_is_refused_with_the_remedy(fleet: Fleet) -> None:
    done = fleet.play("roll", fleet_release_version="1.1.0", fleet_batch_size=2)
    assert done.returncode != 0
    assert "MinSize is 2" in said(done)
    assert fleet.lifecycle() == ["InService"] * 3


def test_a_production_inventory_never_reaches_the_lab() -> None:
    done = run(LAB, "run", "ansible-playbook", "-i", "inventory/prod", "playbooks/fleet.yml")
    assert done.returncode != 0
    assert "inventory prod is for account" in said(done)
    assert "Nothing was changed" in said(done)


def test_a_check_run_of_site_changes_nothing_and_does_not_fail(fleet: Fleet) -> None:
    done = fleet.play("site", "--check", "--diff")
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_release_that_never_gets_healthy_stops_the_roll_and_the_fleet_serves_on(fleet: Fleet, tmp_path: Path) -> None:
    publish(fleet, "1.2.0", never_healthy(shop("1.2.0", tmp_path)))
    done = fleet.play("roll", fleet_release_version="1.2.0")
    assert done.returncode != 0
    stopped = said(done)[said(done).rindex("roll (1.2.0) stopped at i-") :]
    assert "in us-east-1" in stopped
    assert "-e fleet_release_version=1.2.0" in stopped
    assert "Traceback" not in done.stdout
    assert fleet.versions() == {"1.1.0"}
    assert fleet.lifecycle() == ["InService"] * 3
    assert fleet.journal()["status"] == "stopped"
    assert fleet.group()["SuspendedProcesses"] == []


def test_while_an_operation_is_unfinished_another_one_is_refused(fleet: Fleet) -> None:
    done = fleet.play("patch")
    assert done.returncode != 0
    assert "roll of 1.2.0" in said(done)
    assert "fleet_force=true" in said(done)


def test_a_roll_whose_controller_was_killed_is_resumed_by_running_it_again(fleet: Fleet, tmp_path: Path) -> None:
    publish(fleet, "1.3.0", shop("1.3.0", tmp_path))
    first = fleet.start("roll", fleet_release_version="1.3.0", fleet_force=True)
    wait_for_line(first, "TASK [Learn about the host]", 120)
    kill(first)
    assert fleet.lifecycle() == ["InService", "InService", "Standby"]
    assert len(fleet.versions()) == 1
    done = fleet.play("roll", fleet_release_version="1.3.0")
    assert done.returncode == 0, done.stdout[-3000:]
    assert fleet.versions() == {"1.3.0"}
    assert fleet.lifecycle() == ["InService"] * 3
    assert fleet.journal()["status"] == "finished"
    assert fleet.group()["SuspendedProcesses"] == []


def test_a_host_that_is_lost_is_replaced_by_the_group(fleet: Fleet) -> None:
    lost = fleet.group()["Instances"][0]["InstanceId"]
    fleet.aws("ec2", "terminate-instances", "--instance-ids", lost)
    ready = run(
        LAB,
        "run",
        "ansible",
        "localhost",
        "-m",
        "ecommerce.fleet.fleet_ready",
        "-a",
        f"name={fleet.name} region=us-east-1 wait_seconds=120",
    )
    assert ready.returncode == 0, ready.stdout
    assert lost not in ready.stdout


def test_real_credentials_never_reach_a_command_in_the_lab() -> None:
    done = run(
        LAB,
        "run",
        "env",
        AWS_ACCESS_KEY_ID="AKIAREALREALREALREAL",
        AWS_SECRET_ACCESS_KEY="real",
        AWS_PROFILE="production",
    )
    assert done.returncode == 0
    assert "AKIAREAL" not in done.stdout
    assert "production" not in done.stdout
    assert "set aside" in done.stderr


def test_the_lab_refuses_credentials_of_a_real_account(fleet: Fleet) -> None:
    done = run(LAB, "run", "env", "AWS_ACCESS_KEY_ID=AKIAREALREALREALREAL", "aws", "ec2", "describe-instances")
    assert done.returncode != 0
    assert "InvalidClientTokenId" in done.stderr or "AuthFailure" in done.stderr
    assert ROOT.exists()
