"""Auto Scaling groups, their instances and activities as records that a reconciler drives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import ASG_NAME_TAG, FakeAutoScalingGroup, InstanceState
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random

COUNTED = ("Pending", "InService")
"""Lifecycle states that make up the group's capacity."""


@dataclass
class ScalingActivity:
    """One entry of DescribeScalingActivities."""

    auto_scaling_group_name: str
    auto_scaling_group_arn: str
    description: str
    cause: str
    details: str = "{}"
    activity_id: str = field(default_factory=lambda: str(mock_random.uuid4()))
    start_time: datetime = field(default_factory=utcnow)
    end_time: datetime | None = None
    status_code: str = "InProgress"
    status_message: str | None = None
    progress: int = 50

    def finish(self) -> None:
        self.status_code, self.progress, self.end_time = "Successful", 100, utcnow()

    def fail(self, message: str) -> None:
        self.status_code, self.status_message, self.progress, self.end_time = "Failed", message, 100, utcnow()


class LabInstanceState(InstanceState):
    """An instance in a group, with the launch template version that it was started from and what is happening to it."""

    def __init__(self, instance: Any, group: LabGroup, lifecycle_state: str, protected: bool) -> None:
        instance.autoscaling_group = group
        super().__init__(instance, lifecycle_state, "Healthy", protected, group)
        self.entered = utcnow()
        self.activity: ScalingActivity | None = None
        self.problem = ""
        """Why it is Unhealthy, in the words of a scaling activity's cause."""
        self.version: tuple[str, int] | str | None = None
        """What it was launched from: (launch template id, version number) or a launch configuration's name."""
        self.from_template: dict[str, str] | None = None
        self.from_configuration: str | None = None

    @property
    def launch_template(self) -> dict[str, str] | None:
        return self.from_template

    @property
    def launch_configuration_name(self) -> str | None:
        return self.from_configuration

    def remember_origin(self, group: LabGroup) -> None:
        self.version = group.launch_template_number()
        if isinstance(self.version, tuple):
            template: Any = group.ec2_launch_template
            names = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
            self.from_template = {**names, "Version": str(self.version[1])}
        else:
            self.from_configuration = self.version

    def enter(self, lifecycle_state: str) -> None:
        self.lifecycle_state, self.entered = lifecycle_state, utcnow()

    def done(self) -> None:
        """The activity that brought the instance where it is has succeeded."""
        if self.activity:
            self.activity.finish()
        self.activity = None


class LabGroup(FakeAutoScalingGroup):
    """moto's group; the desired capacity is only recorded, and the reconciler reaches it."""

    min_size: int
    max_size: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.activities: list[ScalingActivity] = []
        self.status: str | None = None
        self.deleting = False
        self.launch_not_before = 0.0
        self.launch_configuration_name: str | None = None
        super().__init__(*args, **kwargs)
        self.health_check_grace_period = kwargs.get("health_check_period") or 0

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        capacity = self.min_size if new_capacity is None else new_capacity
        if self.min_size > self.max_size:
            raise ValidationError(
                f"Max bound, {self.max_size}, must be greater than or equal to min bound, {self.min_size}"
            )
        if not self.min_size <= capacity <= self.max_size:
            raise ValidationError(
                f"Desired capacity:{capacity} must be between the specified min size:{self.min_size} and max size:{self.max_size}"
            )
        self.desired_capacity = capacity

    def update(self, **kwargs: Any) -> None:
        """A changed bound moves the desired capacity when the request has none."""
        low = self.min_size if kwargs.get("min_size") is None else kwargs["min_size"]
        high = self.max_size if kwargs.get("max_size") is None else kwargs["max_size"]
        if kwargs.get("desired_capacity") is None:
            kwargs["desired_capacity"] = min(max(self.desired_capacity, low), high)
        if kwargs.get("launch_template"):
            self.launch_configuration_name, self.launch_config = None, None
        elif kwargs.get("launch_config_name"):
            self.ec2_launch_template = None
        before = (self.min_size, self.max_size)
        try:
            super().update(**kwargs)
        except ValidationError:
            self.min_size, self.max_size = before
            raise

    def suspended(self, process: str) -> bool:
        return process in self._suspended_processes

    def counted(self) -> list[LabInstanceState]:
        return [s for s in self.instance_states if s.lifecycle_state in COUNTED]

    def member(self, instance_id: str) -> LabInstanceState:
        for state in self.instance_states:
            if state.instance_id == instance_id:
                return state
        raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {self.name}.")

    def members(self, instance_ids: Iterable[str], lifecycle_state: str) -> list[LabInstanceState]:
        """These instances, which all have to be in one lifecycle state."""
        found = [self.member(i) for i in instance_ids]
        for state in found:
            if state.lifecycle_state != lifecycle_state:
                raise ValidationError(f"The instance {state.instance_id} is not in {lifecycle_state}.")
        return found

    def begin(self, description: str, cause: str) -> ScalingActivity:
        activity = ScalingActivity(self.name, self.arn, description, f"At {utcnow():%Y-%m-%dT%H:%M:%SZ} {cause}")
        self.activities.insert(0, activity)
        return activity

    def shrink(self, count: int, doing: str) -> str:
        """Takes `count` off the desired capacity, if the minimum allows it; returns the words for the activity's cause."""
        if self.desired_capacity - count < self.min_size:
            raise self._size_error(doing, count)
        before = self.desired_capacity
        self.desired_capacity -= count
        return f", shrinking the capacity from {before} to {self.desired_capacity}"

    def grow(self, count: int, doing: str) -> str:
        if self.desired_capacity + count > self.max_size:
            raise self._size_error(doing, count)
        before = self.desired_capacity
        self.desired_capacity += count
        return f", increasing the capacity from {before} to {self.desired_capacity}"

    def _size_error(self, doing: str, count: int) -> ValidationError:
        sizes = f"min-size={self.min_size}, max-size={self.max_size}, and desired-size={self.desired_capacity}"
        return ValidationError(
            f"AutoScalingGroup {self.name} has {sizes}. To {doing} {count} instance{'s' if count > 1 else ''}, "
            "please update the AutoScalingGroup sizes appropriately."
        )

    def subnets_by_zone(self) -> dict[str, str]:
        """Zone → subnet id, for every zone that the group may use. A zone with several subnets uses the first."""
        ids = [s.strip() for s in (self.vpc_zone_identifier or "").split(",") if s.strip()]
        found: dict[str, str] = {}
        for subnet_id in ids:
            found.setdefault(self.ec2_backend.get_subnet(subnet_id).availability_zone, subnet_id)
        return found

    def per_zone(self) -> Counter[str]:
        """Instances that count per zone, zones without any included."""
        zones: Counter[str] = Counter(dict.fromkeys(self.subnets_by_zone(), 0))
        zones.update(s.availability_zone for s in self.counted())
        return zones

    def launch_template_number(self) -> tuple[str, int] | str | None:
        """What a launch would use now: (template id, version number with $Latest and $Default resolved) or a configuration."""
        if self.ec2_launch_template is None:
            return self.launch_configuration_name
        return (self.ec2_launch_template.id, self.ec2_launch_template.get_version(self.launch_template_version).number)

    def launch_tags(self) -> dict[str, str]:
        return {**self.get_propagated_tags(), ASG_NAME_TAG: self.name}
