"""The part of the reconciler that keeps Auto Scaling groups at their capacity, spread, healthy and behind their load balancers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

from moto.autoscaling.models import ASG_NAME_TAG, autoscaling_backends
from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow

from lab.cloud.autoscaling.group_records import LabGroup, LabInstanceState
from lab.cloud.elbv2.target_group_records import LabTargetGroup, Target
from lab.cloud.reconciler import Actions, wake

log = logging.getLogger("lab.autoscaling")

LAUNCH_RETRY_SECONDS = 10
"""How long a group waits after a launch that failed."""


class Groups:
    """Looks at every group: health first, then capacity, then each instance's way through its lifecycle."""

    def settle(self, actions: Actions) -> None:
        for _, _, backend in list(autoscaling_backends.iter_backends()):
            for group in list(backend.autoscaling_groups.values()):
                try:
                    self._settle_group(backend, group)
                except Exception:
                    log.exception("Auto Scaling group %s", group.name)

    def close(self) -> None:
        """Instances are taken down with their machines."""

    def _settle_group(self, backend: Any, group: LabGroup) -> None:
        if group.deleting:
            self._delete(backend, group)
        else:
            self._check_health(group)
            self._replace_unhealthy(group)
            self._keep_capacity(backend, group)
        for state in list(group.instance_states):
            self._advance(backend, group, state)

    def _delete(self, backend: Any, group: LabGroup) -> None:
        group.desired_capacity = group.min_size = 0
        for state in group.instance_states:
            if state.lifecycle_state != "Terminating":
                cause = f"instance {state.instance_id} was taken out of service as the group is being deleted."
                self._terminate(group, state, cause)
        if not group.instance_states:
            del backend.autoscaling_groups[group.name]

    def _check_health(self, group: LabGroup) -> None:
        if group.suspended("HealthCheck"):
            return
        for state in group.instance_states:
            if state.lifecycle_state == "InService" and (problem := self._problem(group, state)):
                state.health_status, state.problem = "Unhealthy", problem

    def _problem(self, group: LabGroup, state: LabInstanceState) -> str:
        """What is wrong with an instance in service, in the words of a scaling activity's cause; empty when nothing is."""
        if state.instance.state != "running":
            return "an EC2 health check indicating it has been terminated or stopped"
        if (utcnow() - state.entered).total_seconds() < group.health_check_grace_period:
            return ""
        if state.instance.instance_status["Status"] == "impaired":
            return "an EC2 instance status checks failure"
        if group.health_check_type == "ELB":
            for target_group, target in _registrations(group, state):
                if target_group.state_of(target)[0] == "unhealthy":
                    return "an ELB system health check failure"
        return ""

    def _replace_unhealthy(self, group: LabGroup) -> None:
        if group.suspended("ReplaceUnhealthy") or group.suspended("Terminate"):
            return
        for state in group.instance_states:
            if state.lifecycle_state == "InService" and state.health_status == "Unhealthy":
                problem = state.problem or "a user health-check"
                self._terminate(group, state, f"an instance was taken out of service in response to {problem}.")

    def _keep_capacity(self, backend: Any, group: LabGroup) -> None:
        missing = group.desired_capacity - len(group.counted())
        if missing > 0 and not group.suspended("Launch") and time.monotonic() >= group.launch_not_before:
            for _ in range(missing):
                zones = group.per_zone()
                zone = min(zones, key=lambda z: (zones[z], z))
                if not self._launch(
                    backend,
                    group,
                    zone,
                    f"an instance was started in response to a difference between "
                    f"desired and actual capacity, increasing the capacity to {group.desired_capacity}.",
                ):
                    break
        elif missing < 0 and not group.suspended("Terminate"):
            for state in self._surplus(group, -missing):
                words = "an instance was taken out of service in response to a difference between desired and actual capacity"
                self._terminate(group, state, f"{words}, shrinking the capacity to {group.desired_capacity}.")
        elif missing == 0:
            self._rebalance(backend, group)

    def _rebalance(self, backend: Any, group: LabGroup) -> None:
        """Starts an instance in the emptiest zone; the surplus then goes from the fullest."""
        if any(group.suspended(p) for p in ("AZRebalance", "Launch", "Terminate")):
            return
        if any(s.lifecycle_state != "InService" for s in group.counted()) or time.monotonic() < group.launch_not_before:
            return
        zones = group.per_zone()
        low, high = min(zones, key=lambda z: (zones[z], z)), max(zones, key=lambda z: zones[z])
        if zones[high] - zones[low] >= 2:
            words = f"an instance was launched to aid in balancing the group's zones: {low} has {zones[low]}, {high} has {zones[high]}."
            self._launch(backend, group, low, words)

    def _surplus(self, group: LabGroup, count: int) -> list[LabInstanceState]:
        """The default termination policy: from the fullest zone, an old launch template before a new one, then the oldest."""
        chosen: list[LabInstanceState] = []
        if any(s.lifecycle_state == "Pending" for s in group.counted()) and group.desired_capacity > 0:
            return chosen  # a replacement has to be in service before anything goes
        zones = group.per_zone()
        current = group.launch_template_number()
        left = [s for s in group.counted() if not s.protected_from_scale_in]
        while left and len(chosen) < count:
            fullest = max(zones[s.availability_zone] for s in left)
            candidates = [s for s in left if zones[s.availability_zone] == fullest]
            state = min(candidates, key=lambda s: (s.version == current, s.instance.launch_time, s.instance_id))
            left.remove(state)
            zones[state.availability_zone] -= 1
            chosen.append(state)
        return chosen

    def _terminate(self, group: LabGroup, state: LabInstanceState, cause: str) -> None:
        state.activity = group.begin(f"Terminating EC2 instance: {state.instance_id}", cause)
        state.enter("Terminating")

    def _launch(self, backend: Any, group: LabGroup, zone: str, cause: str) -> bool:
        """Launches one instance; a failure is an activity with the reason, and the group waits before the next try."""
        activity = group.begin("Launching a new EC2 instance", cause)
        subnet = group.subnets_by_zone()[zone]
        activity.details = json.dumps({"Subnet ID": subnet, "Availability Zone": zone})
        try:
            instance = _run_instance(backend, group, subnet)
        except ServiceException as error:
            activity.fail(f"{error.message} Launching EC2 instance failed.")
            group.launch_not_before = time.monotonic() + LAUNCH_RETRY_SECONDS
            log.warning("%s could not launch an instance: %s", group.name, error.message)
            return False
        activity.description += f": {instance.id}"
        state = LabInstanceState(instance, group, "Pending", group.new_instances_protected_from_scale_in)
        state.remember_origin(group)
        state.activity = activity
        group.instance_states.append(state)
        wake()
        return True

    def _advance(self, backend: Any, group: LabGroup, state: LabInstanceState) -> None:
        """One step of an instance's lifecycle, if what it waits for has happened."""
        gone = state.instance.state == "terminated"
        match state.lifecycle_state:
            case "Pending" if state.instance.state == "running":
                self._into_service(group, state)
            case "Pending" if state.instance.state in ("shutting-down", "terminated", "stopping", "stopped"):
                self._give_up(group, state)
            case "EnteringStandby" if self._out_of_service(group, state):
                state.enter("Standby")
                state.done()
            case "Detaching" if self._out_of_service(group, state):
                backend.ec2_backend.delete_tags([state.instance_id], {ASG_NAME_TAG: group.name})
                self._forget(group, state)
            case "Terminating" if gone or self._out_of_service(group, state):
                state.instance.disable_api_termination = False
                state.instance.terminate()
                if gone:
                    self._forget(group, state)
            case "Standby" if gone:
                self._forget(group, state)

    def _into_service(self, group: LabGroup, state: LabInstanceState) -> None:
        if not group.suspended("AddToLoadBalancer"):
            for target_group, _ in _target_groups(group, state):
                target_group.register([{"Id": state.instance_id}])
        state.health_status = "Healthy"
        state.enter("InService")
        state.done()
        wake()

    def _give_up(self, group: LabGroup, state: LabInstanceState) -> None:
        if state.activity:
            state.activity.fail(f"The instance did not come into service: {state.instance.state_reason.message}")
        state.activity = None
        group.launch_not_before = time.monotonic() + LAUNCH_RETRY_SECONDS
        self._terminate(group, state, "an instance was taken out of service because it did not start.")

    def _out_of_service(self, group: LabGroup, state: LabInstanceState) -> bool:
        """Deregisters from the load balancers and returns whether draining is over. What is not running has nothing to drain."""
        over = True
        for target_group, target in _target_groups(group, state):
            if target.id in target_group.targets:
                target_group.deregister([{"Id": target.id}])
                wake()
            over = over and target.id not in target_group.draining
        return over or state.instance.state != "running"

    def _forget(self, group: LabGroup, state: LabInstanceState) -> None:
        group.instance_states.remove(state)
        state.instance.autoscaling_group = None
        state.done()
        wake()


def _target_groups(group: LabGroup, state: LabInstanceState) -> Iterator[tuple[LabTargetGroup, Target]]:
    """The group's target groups, each with the target that the instance is in it."""
    known = group.autoscaling_backend.elbv2_backend.target_groups
    for arn in group.target_group_arns:
        if arn in known:
            yield known[arn], Target(state.instance_id, int(known[arn].port))


def _registrations(group: LabGroup, state: LabInstanceState) -> Iterator[tuple[LabTargetGroup, Target]]:
    for target_group, target in _target_groups(group, state):
        if target.id in target_group.targets:
            yield target_group, target


def _run_instance(backend: Any, group: LabGroup, subnet: str) -> Any:
    """One instance of the group's launch template (or configuration) in a subnet."""
    common: dict[str, Any] = {
        "subnet_id": subnet,
        "tags": {"instance": group.launch_tags()},
        "region_name": backend.region_name,
        "associate_public_ip": False,
    }
    if group.ec2_launch_template:
        template = {"LaunchTemplateId": group.ec2_launch_template.id, "Version": group.launch_template_version}
        reservation = backend.ec2_backend.run_instances(
            None,
            1,
            None,
            [],
            launch_template=template,
            instance_type="m1.small",
            is_instance_type_default=True,
            **common,
        )
        return reservation.instances[0]
    config: Any = group.launch_config
    reservation = backend.ec2_backend.run_instances(
        config.image_id,
        1,
        config.user_data,
        config.security_groups,
        instance_type=config.instance_type,
        is_instance_type_default=False,
        key_name=config.key_name,
        metadata_options=config.metadata_options or {},
        **common,
    )
    instance = reservation.instances[0]
    if config.iam_instance_profile:
        kind = "arn" if config.iam_instance_profile.startswith("arn:") else "name"
        backend.ec2_backend.associate_iam_instance_profile(
            instance.id, **{f"iam_instance_profile_{kind}": config.iam_instance_profile}
        )
    return instance
