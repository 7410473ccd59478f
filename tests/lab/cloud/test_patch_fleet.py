"""A patch of two hosts that fails, and one whose control node is killed: the fleet serves, and the same command reaches the target.

`PATCH_KILLS=20 PATCH_SEED=7` kills at twenty moments that the seed 7 chooses; `make kills` does that.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.standin.userland import RELEASE_VERSION
from tests.support.running_lab import ROOT, RunningLab
from tests.support.waiting import wait_for
from tests.support.web_fleet import (
    auto_scaling_group,
    health,
    in_service,
    launch_template,
    load_balancer,
    members,
    target_group,
)

pytestmark = pytest.mark.lab

NAME = "patched-lab-al2023"
KILLS = int(os.environ.get("PATCH_KILLS", "2"))
SEED = int(os.environ.get("PATCH_SEED", "1"))
TASKS = 40
"""About as many as a patch of two hosts has; one that ends before the moment is run again all the same."""
LONGEST_IN_TASK = 6.0
DEAD = r"printf '[dead]\nname=dead\nbaseurl=http://127.0.0.1:9/\ngpgcheck=0\nskip_if_unavailable=1\n' >/etc/yum.repos.d/dead.repo"


@dataclass
class Fleet:
    lab: RunningLab
    group: str

    def start(self, out: Path, **variables: object) -> subprocess.Popen[bytes]:
        """The command of a person, in a session of its own."""
        extra = json.dumps({"fleet_os": "al2023", "fleet_application": "patched", **variables})
        argv = ["lab", "run", "ansible-playbook", "-i", "inventory/lab", "playbooks/patch.yml", "-e", extra]
        own = self.lab.settings
        environment = {
            **os.environ, "LAB_NAME": own.name, "LAB_STATE": str(own.state), "LAB_CACHE": str(own.cache), "NO_COLOR": "1",
        }  # fmt: skip
        with out.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *argv],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def patch(self, out: Path, **variables: object) -> tuple[int, str]:
        """Exit code and output, without the line breaks that Ansible puts into long messages."""
        code = self.start(out, **variables).wait(timeout=600)
        return code, " ".join(out.read_text().split())

    def parameter(self, name: str) -> dict[str, Any]:
        found = self.lab.client("ssm").get_parameter(Name=f"/fleet/patched/lab/al2023/{name}")
        return dict(json.loads(found["Parameter"]["Value"]))

    def on(self, host: str, script: str) -> None:
        ssm = self.lab.client("ssm")
        sent = ssm.send_command(
            DocumentName="AWS-RunShellScript", InstanceIds=[host], Parameters={"commands": [script]}
        )
        where = {"CommandId": sent["Command"]["CommandId"], "InstanceId": host}
        wait_for(script, lambda: ssm.get_command_invocation(**where)["Status"] == "Success")

    def serves(self, status: str) -> None:
        """Every host does, nothing is suspended, and the journal says so."""
        assert in_service(self.lab, NAME, 2)
        assert {state for state, _ in health(self.lab, self.group).values()} == {"healthy"}
        found = self.lab.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])
        assert found["AutoScalingGroups"][0]["SuspendedProcesses"] == []
        assert self.parameter("operation")["status"] == status


@pytest.fixture(scope="module")
def fleet(lab: RunningLab, ssm: Any) -> Iterator[Fleet]:
    """Two hosts behind a load balancer, whose agents are online, and for which there is a security update."""
    template = launch_template(lab, NAME, IamInstanceProfile={"Name": "fleet-web"})
    group = target_group(lab, NAME)
    balancer = load_balancer(lab, NAME, group)
    auto_scaling_group(
        lab, NAME, template, MinSize=1, DesiredCapacity=2, TargetGroupARNs=[group], HealthCheckType="ELB", HealthCheckGracePeriod=60
    )  # fmt: skip
    made = Fleet(lab, group)

    def ready() -> bool:
        found, targets = in_service(lab, NAME, 2), health(lab, group)
        online = {i["InstanceId"] for i in ssm.describe_instance_information()["InstanceInformationList"]}
        return bool(found) and {state for state, _ in targets.values()} == {"healthy"} and set(targets) <= online

    try:
        wait_for("two hosts that serve, with their agents", ready, timeout=180)
        assert lab.command("advisory", "publish").returncode == 0
        yield made
    finally:
        lab.command("advisory", "withdraw")
        lab.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
        wait_for("deleted group", lambda: not members(lab, NAME))
        lab.client("elbv2").delete_load_balancer(LoadBalancerArn=balancer)
        lab.client("elbv2").delete_target_group(TargetGroupArn=group)
        lab.client("ec2").delete_launch_template(LaunchTemplateId=template)


@pytest.mark.parametrize(
    ("place", "release"),
    [
        pytest.param(0, "latest", marks=pytest.mark.slow, id="the first host"),
        pytest.param(-1, RELEASE_VERSION["al2023"], id="a later host"),
    ],
)
def test_a_patch_that_fails_on_a_host_restores_it_and_the_same_command_finishes(
    fleet: Fleet, tmp_path: Path, place: int, release: str
) -> None:
    """The first host resolves the release for all: only from then on has the command that resumes one to name."""
    hosts = members(fleet.lab, NAME)
    host = sorted(hosts, key=lambda i: (hosts[i]["AvailabilityZone"], i))[place]
    fleet.on(host, DEAD)
    try:
        code, output = fleet.patch(tmp_path / "first", fleet_reboot_option="NoReboot")
    finally:
        fleet.on(host, "rm /etc/yum.repos.d/dead.repo")
    assert code != 0
    stopped = output[output.rindex(f"patch (Install) stopped at {host}") :]
    assert "dead" in stopped
    assert "The host is in service; 1 of 1 other hosts serve" in stopped
    for words in ("fleet_reboot_option=NoReboot", "fleet_patch_operation=Install", f"fleet_patch_release={release}"):
        assert f"-e {words}" in stopped
    fleet.serves("stopped")
    code, output = fleet.patch(tmp_path / "second", fleet_reboot_option="NoReboot")
    assert code == 0, output[-3000:]
    assert fleet.parameter("patch-release")["release"] == RELEASE_VERSION["al2023"]
    fleet.serves("finished")
    for patched in hosts:
        fleet.on(patched, 'left=$(dnf -q updateinfo list security) && test -z "$left"')


def wait_for_moment(process: subprocess.Popen[bytes], out: Path, tasks: int, seconds: float) -> None:
    """Until so many tasks have begun, and so many seconds into the last of them; or until the end."""
    while process.poll() is None and out.read_bytes().count(b"\nTASK [") < tasks:
        time.sleep(0.1)
    time.sleep(seconds)


@pytest.mark.slow
def test_a_patch_whose_control_node_is_killed_at_any_moment_reaches_its_target_when_it_is_run_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    moments = random.Random(SEED)  # noqa: S311 - moments, not a secret
    for number in range(KILLS):
        moment = moments.randrange(1, TASKS), moments.uniform(0, LONGEST_IN_TASK)
        first = fleet.start(tmp_path / f"killed-{number}")
        wait_for_moment(first, tmp_path / f"killed-{number}", *moment)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait(timeout=30)
        code, output = fleet.patch(tmp_path / f"again-{number}")
        assert code == 0, f"moment {number} {moment}: {output[-3000:]}"
        fleet.serves("finished")
