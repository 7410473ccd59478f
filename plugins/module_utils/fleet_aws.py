"""The AWS calls of a rolling operation: reading a fleet, moving a host out and in, waiting. Control node only.

Sources: Amazon EC2 Auto Scaling API Reference (EnterStandby, ExitStandby, SuspendProcesses), Elastic Load Balancing API Reference
(DescribeTargetHealth).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .fleet_plan import Fleet, Host, PlanError, Target, TargetGroup

T = TypeVar("T")


class WaitTimeoutError(Exception):
    """A deadline passed; ``last`` is what was seen last."""

    def __init__(self, what: str, seconds: float, last: object) -> None:
        super().__init__(f"{what}: not so after {seconds:.0f} s; last seen: {last}")
        self.last = last


def polls(seconds: float, first: float = 0.5, most: float = 5.0) -> Iterator[float]:
    """Yield until ``seconds`` are over, sleeping in between with growing, jittered pauses; yields the seconds left."""
    deadline, pause = time.monotonic() + seconds, first
    while True:
        left = deadline - time.monotonic()
        yield max(left, 0.0)
        if left <= 0:
            return
        time.sleep(min(pause * random.uniform(0.8, 1.2), max(left, 0.05)))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 1.3, most)


def wait_for(what: str, read: Callable[[], T], good: Callable[[T], bool], seconds: float) -> T:
    """Read until ``good``; returns the value. Raises WaitTimeoutError naming ``what`` and the last value."""
    value = read()
    for _ in polls(seconds):
        if good(value):
            return value
        value = read()
    if good(value):
        return value
    raise WaitTimeoutError(what, seconds, value)


def paginate(client: Any, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
    """All items under ``key`` of a paginated operation."""
    pages = client.get_paginator(operation).paginate(**arguments)
    return [item for page in pages for item in page[key]]


class FleetApi:
    """One Auto Scaling group in one region, through boto3 clients for ``autoscaling`` and ``elbv2``."""

    def __init__(self, autoscaling: Any, elbv2: Any, name: str) -> None:
        self._autoscaling = autoscaling
        self._elbv2 = elbv2
        self.name = name

    def read(self) -> Fleet:
        """The group, its hosts and what every target group says of each. Raises PlanError if there is no such group."""
        found = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"]
        if not found:
            raise PlanError(
                f"there is no Auto Scaling group '{self.name}' in this region; check fleet_name and fleet_region."
            )
        group = found[0]
        arns = group.get("TargetGroupARNs", [])
        health = {arn: self.target_health(arn) for arn in arns}
        groups = self._target_groups(arns)
        hosts = tuple(
            Host(
                instance_id=member["InstanceId"],
                zone=member["AvailabilityZone"],
                lifecycle=member["LifecycleState"],
                targets=tuple(
                    health[g.arn][member["InstanceId"]] for g in groups if member["InstanceId"] in health[g.arn]
                ),
            )
            for member in group["Instances"]
        )
        return Fleet(
            name=self.name,
            min_size=group["MinSize"],
            max_size=group["MaxSize"],
            desired=group["DesiredCapacity"],
            hosts=hosts,
            target_groups=groups,
            suspended=tuple(p["ProcessName"] for p in group.get("SuspendedProcesses", [])),
        )

    def _target_groups(self, arns: list[str]) -> tuple[TargetGroup, ...]:
        if not arns:
            return ()
        described = self._elbv2.describe_target_groups(TargetGroupArns=arns)["TargetGroups"]
        return tuple(self._target_group(item) for item in described)

    def _target_group(self, item: dict[str, Any]) -> TargetGroup:
        attributes = self._elbv2.describe_target_group_attributes(TargetGroupArn=item["TargetGroupArn"])["Attributes"]
        delay = {a["Key"]: a["Value"] for a in attributes}.get("deregistration_delay.timeout_seconds", "300")
        return TargetGroup(
            arn=item["TargetGroupArn"],
            name=item["TargetGroupName"],
            deregistration_delay=int(delay),
            health_check_interval=int(item["HealthCheckIntervalSeconds"]),
            health_check_timeout=int(item["HealthCheckTimeoutSeconds"]),
            healthy_count=int(item["HealthyThresholdCount"]),
        )

    def target_health(self, arn: str) -> dict[str, Target]:
        """Instance id → what the target group says of it."""
        name = arn.split("/")[1]
        described = self._elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return {
            d["Target"]["Id"]: Target(name, d["TargetHealth"]["State"], d["TargetHealth"].get("Reason", ""))
            for d in described
        }

    def hold_balance(self, hold: bool) -> None:
        """Suspend or resume AZRebalance: while a host is in Standby its zone looks short and would be 'balanced'."""
        call = self._autoscaling.suspend_processes if hold else self._autoscaling.resume_processes
        call(AutoScalingGroupName=self.name, ScalingProcesses=["AZRebalance"])

    def take_out(self, instance_id: str) -> None:
        """Put a host into Standby: deregistered, drained, and the desired capacity lowered so that it isn't replaced."""
        self._autoscaling.enter_standby(
            AutoScalingGroupName=self.name, InstanceIds=[instance_id], ShouldDecrementDesiredCapacity=True
        )

    def put_back(self, instance_id: str) -> None:
        self._autoscaling.exit_standby(AutoScalingGroupName=self.name, InstanceIds=[instance_id])

    def wait_out(self, instance_id: str, seconds: float) -> Host:
        """Wait until a host is in Standby and no target group sends it anything (drained, then no longer registered)."""
        return wait_for(
            f"{instance_id} in Standby and drained",
            lambda: self.read().host(instance_id),
            lambda host: host.lifecycle == "Standby" and all(t.state == "unused" for t in host.targets),
            seconds,
        )

    def wait_serving(self, instance_id: str, seconds: float) -> Host:
        """Wait until a host is InService and healthy in every target group."""
        return wait_for(
            f"{instance_id} in service and healthy in every target group of {self.name}",
            lambda: self.read().host(instance_id),
            lambda host: host.serving,
            seconds,
        )
