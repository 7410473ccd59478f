"""Auto Scaling requests: parameters that the lab refuses, and actions that moto's handlers lack."""

from __future__ import annotations

from moto.autoscaling.exceptions import AutoscalingClientError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from lab.cloud.reconciler import LockedRequests

REFUSED = [
    "LifecycleHookSpecificationList", "MaxInstanceLifetime", "InstanceMaintenancePolicy", "CapacityReservationSpecification",
    "MixedInstancesPolicy", "CapacityRebalance", "PlacementGroup", "LoadBalancerNames", "DesiredCapacityType", "TrafficSources",
]  # fmt: skip
"""Parameters of CreateAutoScalingGroup and UpdateAutoScalingGroup that the lab does not act on, and so refuses."""


class LabAutoScalingResponse(LockedRequests, AutoScalingResponse):
    def create_auto_scaling_group(self) -> ActionResult:
        self._check_parameters()
        return super().create_auto_scaling_group()

    def update_auto_scaling_group(self) -> ActionResult:
        self._check_parameters()
        return super().update_auto_scaling_group()

    def _check_parameters(self) -> None:
        for name in REFUSED:
            if self._get_param(name) not in (None, [], {}, False, 0, "", "units"):
                raise AutoscalingClientError("OperationNotPermitted", f"Not possible in the lab: {name}.")

    def delete_auto_scaling_group(self) -> ActionResult:
        force = bool(self._get_param("ForceDelete", False))
        self.autoscaling_backend.delete_auto_scaling_group(self._get_param("AutoScalingGroupName"), force=force)
        return EmptyResult()

    def disable_metrics_collection(self) -> ActionResult:
        """Groups publish no metrics here (EnableMetricsCollection is refused), so there is nothing to switch off."""
        self.autoscaling_backend.group(self._get_param("AutoScalingGroupName"))
        return EmptyResult()

    def describe_scaling_activities(self) -> ActionResult:
        name, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
        groups = (
            [self.autoscaling_backend.group(name)] if name else self.autoscaling_backend.autoscaling_groups.values()
        )
        found = [a for group in groups for a in group.activities if not ids or a.activity_id in ids]
        found.sort(key=lambda activity: activity.start_time, reverse=True)
        return ActionResult({"Activities": found[: self._get_param("MaxRecords", 100)]})
