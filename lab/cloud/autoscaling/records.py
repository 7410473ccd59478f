"""What Auto Scaling requests do to the groups of one region: they change records, which the reconciler then follows."""

from __future__ import annotations

from typing import Any

from moto.autoscaling import urls
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import ASG_NAME_TAG, AutoScalingBackend

from lab.cloud.autoscaling.group_records import LabGroup, LabInstanceState, ScalingActivity

PROCESSES = [
    "Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh",
    "ReplaceUnhealthy", "ScheduledActions",
]  # fmt: skip


class LabAutoScalingBackend(AutoScalingBackend):
    _url_module = urls

    def group(self, name: str) -> LabGroup:
        if name not in self.autoscaling_groups:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup {name} not found")
        return self.autoscaling_groups[name]

    def create_auto_scaling_group(self, name: str, **kwargs: Any) -> LabGroup:
        if name in self.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        if not kwargs.get("vpc_zone_identifier"):
            raise ValidationError("The lab has no default VPC: name the subnets in VPCZoneIdentifier.")
        for arn in kwargs.get("target_group_arns") or []:
            self._target_group(arn)
        return super().create_auto_scaling_group(name, **kwargs)

    def _target_group(self, arn: str) -> Any:
        if arn not in self.elbv2_backend.target_groups:
            raise ValidationError(
                "Provided Target Groups may not be valid. Please ensure they exist and try again. "
                f"One or more target groups not found: {arn}"
            )
        return self.elbv2_backend.target_groups[arn]

    def set_desired_capacity(self, group_name: str, desired_capacity: int | None) -> None:
        self.group(group_name).set_desired_capacity(desired_capacity)

    def delete_auto_scaling_group(self, group_name: str, *, force: bool = False) -> None:
        group = self.group(group_name)
        if group.instance_states and not force:
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        group.deleting, group.status = True, "Delete in progress"

    def update_attached_elbs(self, group_name: str) -> None:
        """The lab has no classic load balancers."""

    def update_attached_target_groups(self, group_name: str) -> None:
        """Instances are registered when they come into service, by the reconciler."""

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """The health check sees that an instance is gone, as on AWS."""

    def attach_load_balancer_target_groups(self, group_name: str, target_group_arns: list[str]) -> None:
        group = self.group(group_name)
        targets = [self._target_group(arn) for arn in target_group_arns]
        group.append_target_groups(target_group_arns)
        for target_group in targets:
            target_group.register(
                [{"Id": s.instance_id} for s in group.instance_states if s.lifecycle_state == "InService"]
            )

    def detach_load_balancer_target_groups(self, group_name: str, target_group_arns: list[str]) -> None:
        group = self.group(group_name)
        group.target_group_arns = [arn for arn in group.target_group_arns if arn not in target_group_arns]
        for arn in target_group_arns:
            target_group = self._target_group(arn)
            members = {s.instance_id for s in group.instance_states}
            target_group.deregister([{"Id": i} for i in list(target_group.targets) if i in members])

    def enter_standby_instances(
        self, group_name: str, instance_ids: list[str], should_decrement: bool
    ) -> list[ScalingActivity]:
        group = self.group(group_name)
        states = group.members(instance_ids, "InService")
        words = group.shrink(len(states), "place into standby") if should_decrement else ""
        return [
            self._move(
                group,
                s,
                "EnteringStandby",
                description="Moving EC2 instance to Standby",
                done="moved to standby",
                words=words,
            )
            for s in states
        ]

    def exit_standby_instances(self, group_name: str, instance_ids: list[str]) -> list[ScalingActivity]:
        group = self.group(group_name)
        # "How suspended processes affect other processes" (User Guide); it does not say in which words.
        if group.suspended("Launch"):
            raise ValidationError(f"The Launch process of AutoScalingGroup {group_name} is suspended.")
        states = group.members(instance_ids, "Standby")
        words = group.grow(len(states), "take out of standby")
        moved = "moved out of standby"
        return [
            self._move(group, s, "Pending", description="Moving EC2 instance out of Standby", done=moved, words=words)
            for s in states
        ]

    def detach_instances(
        self, group_name: str, instance_ids: list[str], should_decrement: bool
    ) -> list[ScalingActivity]:
        group = self.group(group_name)
        states = [group.member(i) for i in instance_ids]
        for state in states:
            if state.lifecycle_state not in ("InService", "Standby"):
                raise ValidationError(f"The instance {state.instance_id} is not in InService or Standby.")
        counted = [s for s in states if s.lifecycle_state == "InService"]
        words = group.shrink(len(counted), "detach") if should_decrement and counted else ""
        return [
            self._move(group, s, "Detaching", description="Detaching EC2 instance", done="detached", words=words)
            for s in states
        ]

    def attach_instances(self, group_name: str, instance_ids: list[str]) -> None:
        group = self.group(group_name)
        instances = [self._attachable(group, i) for i in instance_ids]
        words = group.grow(len(instances), "attach")
        for instance in instances:
            state = LabInstanceState(instance, group, "Pending", group.new_instances_protected_from_scale_in)
            group.instance_states.append(state)
            self.ec2_backend.create_tags([instance.id], {ASG_NAME_TAG: group.name})
            self._move(
                group, state, "Pending", description="Attaching an existing EC2 instance", done="attached", words=words
            )

    def _attachable(self, group: LabGroup, instance_id: str) -> Any:
        instance = self.ec2_backend.get_instance_by_id(instance_id)
        if instance is None or instance.state != "running":
            raise ValidationError(f"Invalid Instance ID(s): {instance_id}: the instance is not running")
        if any(s.instance_id == instance_id for g in self.autoscaling_groups.values() for s in g.instance_states):
            raise ValidationError(f"The instance {instance_id} is already part of an Auto Scaling group.")
        if instance.placement.zone not in group.availability_zones:
            raise ValidationError(f"The instance {instance_id} is not in an Availability Zone of the group.")
        return instance

    def terminate_instance(self, instance_id: str, should_decrement: bool) -> ScalingActivity:
        for group in self.autoscaling_groups.values():
            for state in group.instance_states:
                if state.instance_id == instance_id and state.lifecycle_state != "Terminating":
                    counts = state.lifecycle_state in ("InService", "Pending")
                    words = self._shrink_for_termination(group) if should_decrement and counts else ""
                    done = "taken out of service"
                    return self._move(
                        group, state, "Terminating", description="Terminating EC2 instance", done=done, words=words
                    )
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")

    def _shrink_for_termination(self, group: LabGroup) -> str:
        if group.desired_capacity <= group.min_size:
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement will "
                "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
                "group's min size."
            )
        return group.shrink(1, "terminate")

    def _move(
        self, group: LabGroup, state: LabInstanceState, lifecycle: str, *, description: str, done: str, words: str
    ) -> ScalingActivity:
        cause = f"instance {state.instance_id} was {done} in response to a user request{words}."
        state.activity = group.begin(f"{description}: {state.instance_id}", cause)
        state.enter(lifecycle)
        return state.activity

    def set_instance_health(self, instance_id: str, health_status: str) -> None:
        for group in self.autoscaling_groups.values():
            for state in group.instance_states:
                if state.instance_id == instance_id:
                    state.health_status = health_status
                    return
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")

    def suspend_processes(self, group_name: str, scaling_processes: list[str]) -> None:
        self._check_processes(scaling_processes)
        group = self.group(group_name)
        group.suspended_processes = sorted(set(group._suspended_processes) | set(scaling_processes or PROCESSES))

    def resume_processes(self, group_name: str, scaling_processes: list[str]) -> None:
        self._check_processes(scaling_processes)
        group = self.group(group_name)
        group.suspended_processes = sorted(set(group._suspended_processes) - set(scaling_processes or PROCESSES))

    def _check_processes(self, names: list[str]) -> None:
        for name in names or []:
            if name not in PROCESSES:
                raise ValidationError(f"Invalid scaling process: {name}. Valid processes are: {', '.join(PROCESSES)}")
