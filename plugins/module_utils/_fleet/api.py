# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS calls of a rolling operation: reading a fleet, moving a host to Standby and back, waiting. Control node only.

Sources: Amazon EC2 Auto Scaling API Reference (EnterStandby, ExitStandby, SuspendProcesses,
DescribeScalingActivities), Elastic Load Balancing API Reference
(DescribeTargetHealth).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from .._aws.errors import AWS_ERRORS
from .._aws.waiting import NEW_SECONDS, WaitTimeoutError, wait_for
from .plan import LIFECYCLE_SECONDS, MOVING, Fleet, Host, PlanError, Target, TargetGroup, describe_hosts

ACTIVITIES = 3
"""How many scaling activities a message shows."""


class NoGroupError(PlanError):
    """There is no such Auto Scaling group, or not yet in AWS's answers."""


class FleetApi:
    """One Auto Scaling group in one region, through boto3 clients for ``autoscaling`` and ``elbv2``."""

    def __init__(self, autoscaling: Any, elbv2: Any, name: str) -> None:
        self._autoscaling = autoscaling
        self._elbv2 = elbv2
        self._known: dict[str, TargetGroup] = {}
        self.name = name

    def read(self) -> Fleet:
        """The group, its hosts and what every target group says of each. Raises NoGroupError if there is no such group."""
        found = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"]
        if not found:
            raise NoGroupError(missing_group(self._autoscaling, self.name))
        group = found[0]
        groups = self._target_groups(group.get("TargetGroupARNs", []))
        health = [self._target_health(target_group) for target_group in groups]
        return Fleet(
            name=self.name,
            min_size=group["MinSize"],
            max_size=group["MaxSize"],
            desired=group["DesiredCapacity"],
            hosts=tuple(_host(member, health) for member in group["Instances"]),
            target_groups=groups,
            suspended=tuple(p["ProcessName"] for p in group.get("SuspendedProcesses", [])),
        )

    def _target_groups(self, arns: list[str]) -> tuple[TargetGroup, ...]:
        """Their timings don't change while a host is moved, so they are read once and not at each poll."""
        if new := [arn for arn in arns if arn not in self._known]:
            described = self._elbv2.describe_target_groups(TargetGroupArns=new)["TargetGroups"]
            self._known |= {item["TargetGroupArn"]: self._target_group(item) for item in described}
        return tuple(self._known[arn] for arn in arns)

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

    def _target_health(self, group: TargetGroup) -> dict[str, Target]:
        """Instance id → what the target group says of it."""
        described = self._elbv2.describe_target_health(TargetGroupArn=group.arn)["TargetHealthDescriptions"]
        return {
            d["Target"]["Id"]: Target(group.name, d["TargetHealth"]["State"], d["TargetHealth"].get("Reason", ""))
            for d in described
        }

    def suspend_rebalancing(self) -> None:
        """While a host is in Standby its zone looks short, and AZRebalance would launch another there."""
        self._autoscaling.suspend_processes(AutoScalingGroupName=self.name, ScalingProcesses=["AZRebalance"])

    def resume_rebalancing(self) -> None:
        self._autoscaling.resume_processes(AutoScalingGroupName=self.name, ScalingProcesses=["AZRebalance"])

    def enter_standby(self, instance_id: str) -> None:
        """Deregistered, drained, and the desired capacity lowered so that the host isn't replaced."""
        self._autoscaling.enter_standby(
            AutoScalingGroupName=self.name, InstanceIds=[instance_id], ShouldDecrementDesiredCapacity=True
        )

    def exit_standby(self, instance_id: str) -> None:
        self._autoscaling.exit_standby(AutoScalingGroupName=self.name, InstanceIds=[instance_id])

    def _staying(self, instance_id: str) -> Host:
        """Raises PlanError for a host that leaves the group: what is waited for would never come."""
        host = self.read().host(instance_id)
        if host.leaving:
            raise PlanError(f"it is leaving the group: {describe_hosts([host])}")
        return host

    def wait_drained(self, instance_id: str, seconds: float) -> Host:
        """Wait until a host is in Standby and no target group sends it anything (drained, then no longer registered)."""
        return wait_for(
            f"{instance_id} in Standby and drained",
            lambda: self._staying(instance_id),
            lambda host: host.lifecycle == "Standby" and all(t.state == "unused" for t in host.targets),
            seconds,
            describe=lambda host: describe_hosts([host]),
        )

    def wait_in_service(self, instance_id: str, seconds: float) -> Host:
        """Wait until a host is InService and healthy in every target group."""
        return wait_for(
            f"{instance_id} in service and healthy in every target group of {self.name}",
            lambda: self._staying(instance_id),
            lambda host: host.serving,
            seconds,
            describe=lambda host: describe_hosts([host]),
        )

    def wait_settled(self, instance_ids: Collection[str]) -> Fleet:
        """Wait until none of these hosts is on its way to Standby or into service."""
        if not instance_ids:
            return self.read()
        return wait_for(
            f"{', '.join(instance_ids)} in service or in Standby",
            self.read,
            lambda fleet: not any(h.lifecycle.startswith(MOVING) for h in fleet.hosts if h.instance_id in instance_ids),
            LIFECYCLE_SECONDS + max((g.deregistration_delay for g in self._known.values()), default=0),
            describe=lambda fleet: describe_hosts(h for h in fleet.hosts if h.instance_id in instance_ids),
        )

    def wait_serving(self, seconds: float) -> Fleet:
        """Wait until every host that is not about to leave serves, whatever their number."""
        return wait_for(
            f"every host of {self.name} in service and healthy",
            self.read,
            lambda fleet: all(host.serving for host in fleet.hosts if not host.leaving),
            seconds,
            describe=lambda fleet: describe_hosts(h for h in fleet.hosts if not h.serving),
        )

    def _new(self) -> Callable[[], Fleet]:
        """Reads the group; at first it may be missing from the answers because it was created a moment ago."""
        until = time.monotonic() + NEW_SECONDS

        def read() -> Fleet:
            try:
                return self.read()
            except NoGroupError:
                if time.monotonic() >= until:
                    raise
                return Fleet(self.name, 0, 0, 1, (), ())

        return read

    def wait_ready(self, seconds: float) -> Fleet:
        """Wait until the group has as many hosts as desired and all of them serve.

        Raises WaitTimeoutError with the reason that Auto Scaling gives, where it could not launch or keep a host.
        """
        since = datetime.now(UTC)
        try:
            return wait_for(
                f"all hosts of {self.name} in service and healthy",
                self._new(),
                lambda fleet: len(fleet.hosts) == fleet.desired and all(host.serving for host in fleet.hosts),
                seconds,
                describe=lambda fleet: f"{len(fleet.hosts)} of {fleet.desired} hosts: {describe_hosts(fleet.hosts)}",
            )
        except WaitTimeoutError as error:
            raise WaitTimeoutError(error.what, seconds, f"{error.last}. {self._activities(since)}") from error

    def _activities(self, since: datetime) -> str:
        """What Auto Scaling says of its last tries: those that failed, or what it did where none has."""
        try:
            answer = self._autoscaling.describe_scaling_activities(AutoScalingGroupName=self.name, MaxRecords=20)
        except AWS_ERRORS as error:
            return f"Its scaling activities could not be read: {error}"
        found = answer["Activities"]
        failed = [a for a in found if a["StatusCode"] == "Failed" and a["StartTime"] >= since]
        shown = (failed or [a for a in found if a["StatusCode"] == "Failed"] or found)[:ACTIVITIES]
        lines = dict.fromkeys(
            f"{a['StatusCode']}: {a.get('StatusMessage') or a['Description'] + ': ' + a['Cause']}" for a in shown
        )
        return (
            f"Auto Scaling's last activities: {' | '.join(lines)}"
            if lines
            else "Auto Scaling has not begun any activity."
        )


def missing_group(autoscaling: Any, name: str) -> str:
    """What to say of a group that is not there: which there are, for somebody who asked for another one."""
    found = autoscaling.describe_auto_scaling_groups(MaxRecords=20)["AutoScalingGroups"]
    names = sorted(group["AutoScalingGroupName"] for group in found)
    others = f"there are {', '.join(names)}" if names else "there is none"
    return (
        f"there is no Auto Scaling group '{name}' in this region; {others}. Set fleet_name (of which fleet_os, fleet_application and "
        "fleet_environment are parts) or fleet_region."
    )


def _host(member: Mapping[str, Any], health: list[dict[str, Target]]) -> Host:
    """``member``: an instance of the Auto Scaling group; ``health``: what each target group says, by instance id."""
    instance_id = member["InstanceId"]
    return Host(
        instance_id=instance_id,
        zone=member["AvailabilityZone"],
        lifecycle=member["LifecycleState"],
        targets=tuple(seen[instance_id] for seen in health if instance_id in seen),
    )
