"""What the playbook that launches the fleet leaves alone in an Auto Scaling group that is there already."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import EmptyResult
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("Look at the Auto Scaling group as it is", "Define the Auto Scaling group")


class Group:
    """The playbook's tasks about the group, against moto."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder, self.endpoint = folder, endpoint
        where: dict[str, Any] = {"region_name": "us-east-1", "endpoint_url": endpoint}
        where |= {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.autoscaling = boto3.client("autoscaling", **where)
        ec2 = boto3.client("ec2", **where)
        self.subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        data = {"ImageId": ec2.describe_images()["Images"][0]["ImageId"], "InstanceType": "t3.micro"}
        ec2.create_launch_template(LaunchTemplateName="shop", LaunchTemplateData=data)

    def define(self, **sizes: int) -> dict[str, Any]:
        """Returns the group afterwards."""
        play = yaml.safe_load((ROOT / "playbooks" / "fleet.yml").read_text())[1]
        play["tasks"] = [task for task in play["tasks"] if task["name"] in TASKS]
        assert len(play["tasks"]) == len(TASKS)
        del play["tasks"][1]["amazon.aws.autoscaling_group"]["target_group_arns"]
        play["hosts"] = "localhost"
        play["vars"] = {
            **play["vars"],
            "fleet_region": "us-east-1", "fleet_name": "shop", "fleet_subnets": [self.subnet], "fleet_tags": {"Team": "shop"},
            "fleet_health_check_grace_seconds": 60, "fleet_min_size": 2, "fleet_max_size": 6, "fleet_desired_size": 3, **sizes,
            "ansible_python_interpreter": sys.executable,
        }  # fmt: skip
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(path)],
            cwd=ROOT,
            env={
                **os.environ,
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0])


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    # moto has no such call; groups have no metrics there.
    monkeypatch.setattr(AutoScalingResponse, "disable_metrics_collection", lambda _self: EmptyResult(), raising=False)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    try:
        yield Group(tmp_path, f"http://127.0.0.1:{moto.get_host_and_port()[1]}")
    finally:
        moto.stop()


def test_run_again_the_group_keeps_its_capacity_and_what_is_suspended_unless_its_bounds_say_otherwise(
    group: Group,
) -> None:
    assert group.define()["DesiredCapacity"] == 3
    group.autoscaling.set_desired_capacity(AutoScalingGroupName="shop", DesiredCapacity=5)
    group.autoscaling.suspend_processes(AutoScalingGroupName="shop", ScalingProcesses=["AZRebalance"])
    again = group.define()
    assert again["DesiredCapacity"] == 5
    assert [process["ProcessName"] for process in again["SuspendedProcesses"]] == ["AZRebalance"]
    assert group.define(fleet_max_size=4)["DesiredCapacity"] == 4
