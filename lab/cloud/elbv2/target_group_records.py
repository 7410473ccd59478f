"""Target groups and their targets as records: registered, draining, and their health."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.elbv2.exceptions import InvalidTargetError, TargetNotRunning
from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup, elbv2_backends

from lab.balancer.health import Health
from lab.cloud.elbv2.limits import RefusedError
from lab.cloud.elbv2.load_balancer_records import groups_of


@dataclass(frozen=True)
class Target:
    """One registered target: an instance id or an address, and the port that it is reached on."""

    id: str
    port: int

    @property
    def server(self) -> str:
        """Its name in HAProxy."""
        return f"{self.id}_{self.port}"


@dataclass
class Draining:
    """A target that was deregistered: no new requests, `draining` until the deregistration delay is over."""

    target: Target
    until: float


UNUSED = ("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
NOT_REGISTERED = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
DRAINING = ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
REGISTERING = Health("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
WRONG_ZONE = (
    "unused",
    "Target.NotInUse",
    "Target is in an Availability Zone that is not enabled for the load balancer",
)

probed_health: dict[tuple[str, Target], Callable[[], Health]] = {}
"""(target group ARN, target) → its health by its probe; kept by `lab.cloud.elbv2.balancers_part`."""


class LabTargetGroup(FakeTargetGroup):
    """moto's record, whose targets have the state that the probes and the clock give them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.draining: dict[str, Draining] = {}
        super().__init__(*args, **kwargs)

    @property
    def balancers(self) -> list[Any]:
        """The load balancers with a rule that forwards to this group."""
        backend = elbv2_backends[self.account_id][self.region_name]
        return [balancer for balancer in backend.load_balancers.values() if self.arn in groups_of(balancer)]

    @property
    def load_balancer_arns(self) -> list[str]:
        return [balancer.arn for balancer in self.balancers]

    @load_balancer_arns.setter
    def load_balancer_arns(self, value: list[str]) -> None:
        """moto appends to a list that it never shortens; the listeners are the truth."""

    @property
    def delay(self) -> float:
        return float(self.attributes["deregistration_delay.timeout_seconds"])

    def registered(self) -> list[Target]:
        return [Target(t["Id"], int(t["Port"])) for t in self.targets.values()]

    def register(self, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            self._check(target)
        for target in targets:
            port = int(target.get("Port") or self.port)
            self.targets[target["Id"]] = {"Id": target["Id"], "Port": port}
            self.draining.pop(target["Id"], None)

    def _check(self, target: dict[str, Any]) -> None:
        if self.target_type == "instance":
            instance = self.ec2_backend.get_instance_by_id(target["Id"])
            if instance is None:
                raise InvalidTargetError
            if instance.state != "running":
                raise TargetNotRunning(instance_id=target["Id"])
            if instance.vpc_id != self.vpc_id:
                raise InvalidTargetError
        present = self.targets.get(target["Id"])
        if present and int(present["Port"]) != int(target.get("Port") or self.port):
            raise RefusedError(
                f"target {target['Id']} is registered with port {present['Port']} already, and one port is all it has."
            )

    def deregister(self, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            if target["Id"] not in self.targets:
                raise InvalidTargetError
        for target in targets:
            removed = self.targets.pop(target["Id"])
            gone = Target(removed["Id"], int(removed["Port"]))
            if self.balancers and self.delay > 0:
                self.draining[gone.id] = Draining(gone, time.monotonic() + self.delay)

    def deregister_terminated_instances(self, instance_ids: list[str]) -> None:
        """A terminated instance is deregistered by Elastic Load Balancing itself."""
        self.deregister([{"Id": i} for i in instance_ids if i in self.targets])

    def finish_draining(self, now: float) -> list[Target]:
        """Forgets the targets whose delay is over and returns them."""
        over = [d.target for d in self.draining.values() if d.until <= now]
        for target in over:
            del self.draining[target.id]
        return over

    def known_targets(self) -> list[dict[str, Any]]:
        """What DescribeTargetHealth shows when no target is named."""
        return [*self.targets.values(), *({"Id": d.target.id, "Port": d.target.port} for d in self.draining.values())]

    def health_for(self, target: dict[str, Any], ec2_backend: Any) -> FakeHealthStatus:
        port = int((self.targets.get(target["Id"]) or target).get("Port") or self.port)
        state, reason, description = self.state_of(Target(target["Id"], port))
        checked = str(port) if self.health_check_port == "traffic-port" else self.health_check_port
        return FakeHealthStatus(target["Id"], str(port), checked, state, reason or None, description or None)

    def state_of(self, target: Target) -> tuple[str, str, str]:
        """(state, reason, description) as DescribeTargetHealth gives them."""
        if target.id in self.draining:
            return DRAINING
        if target.id not in self.targets:
            return NOT_REGISTERED
        if not self.balancers:
            return UNUSED
        if self.target_type == "instance" and (useless := self._useless(target.id)):
            return useless
        health = probed_health.get((self.arn, target))
        seen = health() if health else REGISTERING
        return (seen.state, seen.reason, seen.description)

    def _useless(self, instance_id: str) -> tuple[str, str, str] | None:
        """Why an instance gets no requests although it is registered."""
        instance = self.ec2_backend.get_instance_by_id(instance_id)
        state = instance.state if instance else "terminated"
        if state != "running":
            return ("unused", "Target.InvalidState", f"Target is in the {state} state")
        zones = {zone.zone_name for balancer in self.balancers for zone in balancer.availability_zones}
        return None if instance.placement.zone in zones else WRONG_ZONE
