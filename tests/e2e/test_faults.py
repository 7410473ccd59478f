"""Every way in which an operation stops leaves the fleet serving and says how to go on."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.demo_fleet import AFTER_DEMO, LAB, ROOT, Fleet, Prepared, kill, output, wait_for_line

pytestmark = pytest.mark.e2e
AFTER_STOPPED_ROLL = "stopped-roll"


def shop(version: str, tmp_path: Path) -> Path:
    argv = [sys.executable, "examples/shop/build.py", "--kind", "nodejs", "--version", version, "--out", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, check=True, timeout=60)
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


def runtime(fleet: Fleet) -> dict[str, str]:
    """The Node.js of the demo's releases: Amazon Linux 2 has no package of it."""
    archive = next(fleet.lab.out.glob("shop/node-v*.tar.gz"))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return {"fleet_release_runtime_file": str(archive), "fleet_release_runtime_sha256": digest}


def publish(fleet: Fleet, version: str, artifact: Path) -> None:
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    done = fleet.play(
        "publish_release", fleet_release_version=version, fleet_release_kind="nodejs", fleet_release_file=str(artifact),
        fleet_release_sha256=digest, **runtime(fleet),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stopped_roll(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The command that rolled a release that never gets healthy. The lab after it is saved."""
    prepared.go_to(AFTER_DEMO)
    prepared.at = None
    fleet = prepared.fleet
    publish(fleet, "1.2.0", never_healthy(shop("1.2.0", tmp_path_factory.mktemp("shop"))))
    done = fleet.play("roll", fleet_release_version="1.2.0")
    prepared.lab.save(AFTER_STOPPED_ROLL)
    prepared.at = AFTER_STOPPED_ROLL
    return done


@pytest.fixture
def stopped_fleet(prepared: Prepared, stopped_roll: subprocess.CompletedProcess[str]) -> Fleet:
    """The fleet whose last operation, a roll, is unfinished; for tests that may change it."""
    prepared.go_to(AFTER_STOPPED_ROLL)
    prepared.at = None
    return prepared.fleet


def test_an_unpublished_release_is_refused_before_anything_changes(unchanged_fleet: Fleet) -> None:
    done = unchanged_fleet.play("roll", fleet_release_version="9.9.9")
    assert done.returncode != 0
    assert "Release 9.9.9 is not published for lab" in output(done)
    assert unchanged_fleet.lifecycle() == ["InService"] * 3


def test_an_artifact_whose_checksum_differs_is_not_uploaded(unchanged_fleet: Fleet, tmp_path: Path) -> None:
    done = unchanged_fleet.play(
        "publish_release", fleet_release_version="1.2.9", fleet_release_kind="nodejs", fleet_release_file=str(shop("1.2.9", tmp_path)),
        fleet_release_sha256="0" * 64, **runtime(unchanged_fleet),
    )  # fmt: skip
    assert done.returncode != 0
    assert "expected was 000000" in output(done)
    assert "Nothing was uploaded" in output(done)


def test_a_roll_below_the_minimum_is_refused_with_the_remedy(unchanged_fleet: Fleet) -> None:
    done = unchanged_fleet.play("roll", fleet_release_version="1.1.0", fleet_batch_size=2)
    assert done.returncode != 0
    assert "MinSize is 2" in output(done)
    assert unchanged_fleet.lifecycle() == ["InService"] * 3


def test_a_production_inventory_never_reaches_the_lab(unchanged_fleet: Fleet) -> None:
    done = unchanged_fleet.lab.run(LAB, "run", "ansible-playbook", "-i", "inventory/prod", "playbooks/fleet.yml")
    assert done.returncode != 0
    assert "inventory prod is for account" in output(done)
    assert "Nothing was changed" in output(done)


def test_a_check_run_of_site_changes_nothing_and_does_not_fail(unchanged_fleet: Fleet) -> None:
    done = unchanged_fleet.play("site", "--check", "--diff")
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_release_that_never_gets_healthy_stops_the_roll_and_the_fleet_serves_on(
    stopped_fleet: Fleet, stopped_roll: subprocess.CompletedProcess[str]
) -> None:
    fleet, done = stopped_fleet, stopped_roll
    assert done.returncode != 0
    stopped = output(done)[output(done).rindex("roll (1.2.0) stopped at i-") :]
    assert "in us-east-1" in stopped
    assert "-e fleet_release_version=1.2.0" in stopped
    assert "Traceback" not in done.stdout
    assert fleet.versions() == {"1.1.0"}
    assert fleet.lifecycle() == ["InService"] * 3
    assert fleet.journal()["status"] == "stopped"
    assert fleet.group()["SuspendedProcesses"] == []


def test_while_an_operation_is_unfinished_another_one_is_refused(stopped_fleet: Fleet) -> None:
    done = stopped_fleet.play("patch")
    assert done.returncode != 0
    assert "roll of 1.2.0" in output(done)
    assert "fleet_force=true" in output(done)


def test_a_roll_whose_controller_was_killed_is_resumed_by_running_it_again(
    stopped_fleet: Fleet, tmp_path: Path
) -> None:
    fleet = stopped_fleet
    publish(fleet, "1.3.0", shop("1.3.0", tmp_path))
    first = fleet.start("roll", fleet_release_version="1.3.0", fleet_force=True)
    wait_for_line(first, "TASK [ecommerce.fleet.app_runtime : ", 120)
    kill(first)
    assert fleet.lifecycle() == ["InService", "InService", "Standby"]
    assert len(fleet.versions()) == 1
    done = fleet.play("roll", fleet_release_version="1.3.0")
    assert done.returncode == 0, done.stdout[-3000:]
    assert fleet.versions() == {"1.3.0"}
    assert fleet.lifecycle() == ["InService"] * 3
    assert fleet.journal()["status"] == "finished"
    assert fleet.group()["SuspendedProcesses"] == []


@pytest.mark.parametrize(
    "seed",
    [pytest.param(1, marks=pytest.mark.slow), *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 22))],
)
def test_a_roll_killed_at_any_moment_is_resumed_to_its_target_and_no_request_fails(
    fleet: Fleet, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
    publish(fleet, "1.4.0", shop("1.4.0", tmp_path))
    address = fleet.aws("elbv2", "describe-load-balancers", "--names", fleet.name)["LoadBalancers"][0]["DNSName"]
    samples = tmp_path / "load.csv"
    load = fleet.lab.start(
        LAB, "run", sys.executable, "-m", "demo.load", "--url", f"http://{address}", "--out", str(samples), "--rate", "40",
        "--version", "1.1.0", "--version", "1.4.0",
    )  # fmt: skip
    try:
        first = fleet.start("roll", fleet_release_version="1.4.0")
        with suppress(subprocess.TimeoutExpired):
            first.communicate(timeout=chance.uniform(2, 70))
        kill(first)
        done = fleet.play("roll", fleet_release_version="1.4.0")
    finally:
        os.killpg(load.pid, signal.SIGTERM)
        load.wait(timeout=30)
    assert done.returncode == 0, done.stdout[-3000:]
    assert fleet.versions() == {"1.4.0"}
    assert fleet.lifecycle() == ["InService"] * 3
    assert fleet.journal()["status"] == "finished"
    assert fleet.group()["SuspendedProcesses"] == []
    with samples.open() as file:
        verdicts = Counter(row["verdict"] for row in csv.DictReader(file))
    assert verdicts.keys() == {"ok"}, verdicts


def test_a_host_that_is_lost_is_replaced_by_the_group(fleet: Fleet) -> None:
    lost = fleet.group()["Instances"][0]["InstanceId"]
    fleet.aws("ec2", "terminate-instances", "--instance-ids", lost)
    ready = fleet.lab.run(
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


@pytest.mark.slow
def test_hosts_that_are_launched_during_a_roll_and_after_it_never_serve_another_release_once_it_is_finished(
    fleet: Fleet, tmp_path: Path
) -> None:
    publish(fleet, "1.5.0", shop("1.5.0", tmp_path))
    roll = fleet.start("roll", fleet_release_version="1.5.0")
    wait_for_line(roll, "TASK [ecommerce.fleet.app_runtime : ", 120)
    # A host in Standby is not counted; when it returns, the desired capacity rises by it.
    fleet.scale(fleet.group()["DesiredCapacity"] + 1)
    said, _ = roll.communicate(timeout=400)
    assert roll.returncode == 0, said[-3000:]
    assert fleet.lifecycle() == ["InService"] * 4
    assert fleet.versions() == {"1.5.0"}
    fleet.scale(5)
    deadline = time.monotonic() + 180
    while fleet.healthy() < 5:
        assert fleet.versions() == {"1.5.0"}
        assert time.monotonic() < deadline, fleet.group()
    assert fleet.versions(requests=40) == {"1.5.0"}


def test_real_credentials_never_reach_a_command_in_the_lab(unchanged_fleet: Fleet) -> None:
    done = unchanged_fleet.lab.run(
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


@pytest.mark.parametrize(
    "call",
    [
        ("ec2", "describe-instances"),
        ("ec2", "create-tags", "--tags", "Key=Owner,Value=stranger", "--resources"),
        (
            "autoscaling",
            "terminate-instance-in-auto-scaling-group",
            "--no-should-decrement-desired-capacity",
            "--instance-id",
        ),
    ],
)
def test_the_lab_refuses_credentials_of_a_real_account_and_stays_as_it_was(
    unchanged_fleet: Fleet, call: tuple[str, ...]
) -> None:
    before = unchanged_fleet.group()
    host = before["Instances"][0]["InstanceId"]
    stranger = ("env", "AWS_ACCESS_KEY_ID=AKIAREALREALREALREAL")
    done = unchanged_fleet.lab.run(LAB, "run", *stranger, "aws", *call, *([host] if call[-1].startswith("--") else []))
    assert done.returncode != 0
    assert "InvalidClientTokenId" in done.stderr
    assert host not in done.stdout
    assert unchanged_fleet.group() == before
    tags = unchanged_fleet.aws("ec2", "describe-tags", "--filters", f"Name=resource-id,Values={host}")["Tags"]
    assert "Owner" not in {tag["Key"] for tag in tags}
