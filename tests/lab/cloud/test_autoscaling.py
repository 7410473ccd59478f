"""Auto Scaling as AWS documents it: capacity, spread, health, standby, scale-in, and what it refuses."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.ec2 import code_of, describe, leader, ssh, state, status, subnets
from tests.support.running_lab import RunningLab
from tests.support.waiting import wait_for
from tests.support.web_fleet import (
    DELAY,
    activities,
    auto_scaling_group,
    health,
    in_service,
    launch_template,
    load_balancer,
    members,
    target_group,
)

pytestmark = pytest.mark.lab

NAME = "web"


@pytest.fixture(scope="module")
def template(lab: RunningLab) -> Iterator[str]:
    made = launch_template(lab, "asg-web")
    yield made
    lab.client("ec2").delete_launch_template(LaunchTemplateId=made)


@pytest.fixture(scope="module")
def group(lab: RunningLab) -> Iterator[str]:
    elbv2 = lab.client("elbv2")
    made = target_group(lab, "asg-web")
    balancer = load_balancer(lab, "asg-web", made)
    yield made
    elbv2.delete_load_balancer(LoadBalancerArn=balancer)
    elbv2.delete_target_group(TargetGroupArn=made)


@pytest.fixture(scope="module")
def fleet(lab: RunningLab, template: str, group: str) -> Iterator[str]:
    """Three instances over three zones behind a load balancer."""
    tag = {"Key": "Application", "Value": "ecommerce-web", "PropagateAtLaunch": True}
    auto_scaling_group(
        lab,
        NAME,
        template,
        MinSize=2,
        TargetGroupARNs=[group],
        HealthCheckType="ELB",
        HealthCheckGracePeriod=60,
        Tags=[tag],
    )
    settled(lab, group)
    yield NAME
    lab.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
    wait_for("deleted group", lambda: not members(lab, NAME))


def settled(lab: RunningLab, group: str, count: int = 3) -> list[str]:
    """The instance ids once `count` are in service and healthy in the target group, and no others are there."""

    def ready() -> list[str] | None:
        found, targets = in_service(lab, NAME, count), health(lab, group)
        good = found and set(found) == set(targets) and set(targets.values()) == {("healthy", "")}
        return sorted(found) if found and good else None

    ids: list[str] = wait_for(f"{count} healthy instances in service", ready, timeout=90)
    return ids


def lifecycle(lab: RunningLab, instance_id: str) -> str:
    found = members(lab, NAME).get(instance_id)
    return str(found["LifecycleState"]) if found else ""


def test_capacity_is_spread_over_the_zones(lab: RunningLab, group: str, fleet: str) -> None:
    settled(lab, group)
    zones = Counter(i["AvailabilityZone"] for i in members(lab, NAME).values())
    assert zones == {"us-east-1a": 1, "us-east-1b": 1, "us-east-1c": 1}


def test_instances_carry_the_groups_tags_and_template(lab: RunningLab, ec2: Any, group: str, fleet: str) -> None:
    first = settled(lab, group)[0]
    tags = {t["Key"]: t["Value"] for t in describe(ec2, first)["Tags"]}
    assert tags["aws:autoscaling:groupName"] == NAME
    assert tags["Application"] == "ecommerce-web"
    assert members(lab, NAME)[first]["LaunchTemplate"]["Version"] == "1"


def test_standby_drains_and_shrinks_and_leaving_it_grows_again(lab: RunningLab, group: str, fleet: str) -> None:
    autoscaling = lab.client("autoscaling")
    first, second, _ = settled(lab, group)
    standby = {"AutoScalingGroupName": NAME, "ShouldDecrementDesiredCapacity": True}
    done = autoscaling.enter_standby(InstanceIds=[first], **standby)["Activities"][0]
    assert done["Description"] == f"Moving EC2 instance to Standby: {first}"
    assert lifecycle(lab, first) == "EnteringStandby"
    wait_for("draining", lambda: health(lab, group)[first][0] == "draining")
    wait_for("standby", lambda: lifecycle(lab, first) == "Standby", timeout=DELAY + 10)
    assert first not in health(lab, group)
    found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]
    assert found["DesiredCapacity"] == 2
    assert len(found["Instances"]) == 3
    assert code_of(autoscaling.enter_standby, InstanceIds=[second], **standby) == "ValidationError"
    assert code_of(autoscaling.exit_standby, AutoScalingGroupName=NAME, InstanceIds=[second]) == "ValidationError"
    autoscaling.suspend_processes(AutoScalingGroupName=NAME, ScalingProcesses=["Launch"])
    assert code_of(autoscaling.exit_standby, AutoScalingGroupName=NAME, InstanceIds=[first]) == "ValidationError"
    autoscaling.resume_processes(AutoScalingGroupName=NAME, ScalingProcesses=["Launch"])
    autoscaling.exit_standby(AutoScalingGroupName=NAME, InstanceIds=[first])
    settled(lab, group)
    assert any("out of Standby" in a and a.startswith("Successful") for a in activities(lab, NAME))


def test_standby_without_decrement_starts_a_replacement(lab: RunningLab, group: str, fleet: str) -> None:
    autoscaling = lab.client("autoscaling")
    first = settled(lab, group)[0]
    autoscaling.enter_standby(AutoScalingGroupName=NAME, InstanceIds=[first], ShouldDecrementDesiredCapacity=False)
    wait_for("standby", lambda: lifecycle(lab, first) == "Standby", timeout=DELAY + 10)
    wait_for("replacement", lambda: len(members(lab, NAME)) == 4)
    autoscaling.exit_standby(AutoScalingGroupName=NAME, InstanceIds=[first])
    autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=3)
    settled(lab, group)


def test_a_terminated_instance_is_replaced_in_its_zone(lab: RunningLab, ec2: Any, group: str, fleet: str) -> None:
    first = settled(lab, group)[0]
    zone = members(lab, NAME)[first]["AvailabilityZone"]
    ec2.terminate_instances(InstanceIds=[first])
    wait_for("replacement", lambda: first not in members(lab, NAME))
    now = settled(lab, group)
    assert first not in now
    assert Counter(i["AvailabilityZone"] for i in members(lab, NAME).values())[zone] == 1
    assert any("terminated or stopped" in a for a in activities(lab, NAME))


def test_an_instance_that_turns_sick_is_replaced_after_the_grace_period(
    lab: RunningLab, ec2: Any, group: str, fleet: str
) -> None:
    autoscaling = lab.client("autoscaling")
    first = settled(lab, group)[0]
    ssh(lab, ec2, first, "sudo touch /sick")
    wait_for("unhealthy target", lambda: health(lab, group).get(first, ("",))[0] == "unhealthy")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, HealthCheckGracePeriod=0)
    wait_for("replacement", lambda: first not in members(lab, NAME))
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, HealthCheckGracePeriod=60)
    settled(lab, group)
    assert any("ELB system health check failure" in a for a in activities(lab, NAME))


def test_a_crashed_machine_is_replaced(lab: RunningLab, ec2: Any, group: str, fleet: str) -> None:
    autoscaling = lab.client("autoscaling")
    first = settled(lab, group)[0]
    wait_for("status ok", lambda: status(ec2, first) == "ok")
    subprocess.run(["kill", "-KILL", str(leader(lab, first))], check=True)
    wait_for("impaired", lambda: status(ec2, first) == "impaired")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, HealthCheckGracePeriod=1)
    wait_for("replacement", lambda: first not in members(lab, NAME))
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, HealthCheckGracePeriod=60)
    settled(lab, group)


def test_suspended_processes_do_nothing_until_resumed(lab: RunningLab, ec2: Any, group: str, fleet: str) -> None:
    autoscaling = lab.client("autoscaling")
    first = settled(lab, group)[0]
    autoscaling.suspend_processes(AutoScalingGroupName=NAME, ScalingProcesses=["Launch", "AZRebalance"])
    ec2.terminate_instances(InstanceIds=[first])
    wait_for("loss", lambda: len(members(lab, NAME)) == 2)
    wait_for("passes of the loop", lambda: state(ec2, first) == "terminated")
    assert len(members(lab, NAME)) == 2
    shown = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]
    assert {p["ProcessName"] for p in shown["SuspendedProcesses"]} == {"Launch", "AZRebalance"}
    autoscaling.resume_processes(AutoScalingGroupName=NAME)
    settled(lab, group)
    assert (
        code_of(autoscaling.suspend_processes, AutoScalingGroupName=NAME, ScalingProcesses=["Nothing"])
        == "ValidationError"
    )


def test_scaling_in_and_out_keeps_the_balance(lab: RunningLab, group: str, fleet: str) -> None:
    autoscaling = lab.client("autoscaling")
    settled(lab, group)
    autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=4)
    settled(lab, group, 4)
    assert sorted(Counter(i["AvailabilityZone"] for i in members(lab, NAME).values()).values()) == [1, 1, 2]
    autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=3)
    settled(lab, group, 3)
    assert set(Counter(i["AvailabilityZone"] for i in members(lab, NAME).values()).values()) == {1}
    for capacity in (1, 5):
        call = autoscaling.set_desired_capacity
        assert code_of(call, AutoScalingGroupName=NAME, DesiredCapacity=capacity) == "ValidationError"


def test_terminating_in_the_group_respects_the_minimum(lab: RunningLab, group: str, fleet: str) -> None:
    autoscaling = lab.client("autoscaling")
    first, second, _ = settled(lab, group)
    terminate = autoscaling.terminate_instance_in_auto_scaling_group
    terminate(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    settled(lab, group, 2)
    assert code_of(terminate, InstanceId=second, ShouldDecrementDesiredCapacity=True) == "ValidationError"
    autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=3)
    settled(lab, group)


def test_a_detached_instance_lives_on_and_can_be_attached_again(
    lab: RunningLab, ec2: Any, group: str, fleet: str
) -> None:
    autoscaling = lab.client("autoscaling")
    first = settled(lab, group)[0]
    autoscaling.detach_instances(AutoScalingGroupName=NAME, InstanceIds=[first], ShouldDecrementDesiredCapacity=True)
    settled(lab, group, 2)
    assert state(ec2, first) == "running"
    assert "aws:autoscaling:groupName" not in {t["Key"] for t in describe(ec2, first)["Tags"]}
    autoscaling.attach_instances(AutoScalingGroupName=NAME, InstanceIds=[first])
    assert first in settled(lab, group)


def test_a_group_that_cannot_launch_says_why_and_recovers(lab: RunningLab, ec2: Any) -> None:
    autoscaling = lab.client("autoscaling")
    broken = launch_template(lab, "broken", ImageId="ami-00000000000000000")
    auto_scaling_group(lab, "broken", broken, DesiredCapacity=1)
    wait_for("failed activity", lambda: any(a.startswith("Failed") for a in activities(lab, "broken")))
    found = autoscaling.describe_scaling_activities(AutoScalingGroupName="broken")["Activities"][0]
    assert "does not exist" in found["StatusMessage"]
    good = ec2.describe_launch_template_versions(LaunchTemplateName="asg-web", Versions=["$Latest"])
    image = good["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"]
    ec2.create_launch_template_version(
        LaunchTemplateId=broken, SourceVersion="1", LaunchTemplateData={"ImageId": image}
    )
    wait_for("recovery", lambda: in_service(lab, "broken", 1))
    assert code_of(autoscaling.delete_auto_scaling_group, AutoScalingGroupName="broken") == "ResourceInUse"
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="broken", ForceDelete=True)
    wait_for("deleted group", lambda: not members(lab, "broken"))
    ec2.delete_launch_template(LaunchTemplateId=broken)


def test_what_the_lab_does_not_do_is_refused(lab: RunningLab, ec2: Any, template: str, fleet: str) -> None:
    autoscaling = lab.client("autoscaling")
    zones = ",".join(subnets(ec2).values())
    sizes = {"MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": zones, "LaunchTemplate": {"LaunchTemplateId": template}}
    create = autoscaling.create_auto_scaling_group
    assert code_of(create, AutoScalingGroupName=NAME, **sizes) == "AlreadyExists"
    assert code_of(create, AutoScalingGroupName="x", MaxInstanceLifetime=86400, **sizes) == "OperationNotPermitted"
    hook = {"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    hooked = {"LifecycleHookSpecificationList": [hook]}
    assert code_of(create, AutoScalingGroupName="x", **hooked, **sizes) == "OperationNotPermitted"
    with pytest.raises(Exception, match="lab"):
        autoscaling.start_instance_refresh(AutoScalingGroupName=NAME)
