"""Decisions of a rolling operation as pure functions: which hosts, in what order, and whether the fleet keeps serving.

Runs on the control node only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# What one poll, one API answer and one scheduling delay may add to each waiting step of a host.
SLACK_SECONDS = 15


class PlanError(Exception):
    """The operation must not start; the message names the place, the value and the remedy."""


@dataclass(frozen=True)
class Target:
    """A host as a target group sees it (ELBv2 DescribeTargetHealth)."""

    group: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Host:
    """A member of the Auto Scaling group; ``lifecycle`` is its LifecycleState."""

    instance_id: str
    zone: str
    lifecycle: str
    targets: tuple[Target, ...] = ()

    @property
    def serving(self) -> bool:
        """In service and healthy in every target group that the group is attached to."""
        return self.lifecycle == "InService" and bool(self.targets) and all(t.state == "healthy" for t in self.targets)


@dataclass(frozen=True)
class TargetGroup:
    """The timings of a target group, in seconds and counts."""

    arn: str
    name: str
    deregistration_delay: int
    health_check_interval: int
    health_check_timeout: int
    healthy_count: int

    @property
    def seconds_to_healthy(self) -> int:
        return self.healthy_count * self.health_check_interval + self.health_check_timeout


@dataclass(frozen=True)
class Fleet:
    """An Auto Scaling group with what it serves."""

    name: str
    min_size: int
    max_size: int
    desired: int
    hosts: tuple[Host, ...]
    target_groups: tuple[TargetGroup, ...]
    suspended: tuple[str, ...] = ()

    def host(self, instance_id: str) -> Host:
        for host in self.hosts:
            if host.instance_id == instance_id:
                return host
        raise PlanError(f"{instance_id} is not a member of Auto Scaling group {self.name}.")


@dataclass(frozen=True)
class Plan:
    """Batches of instance ids, each within one zone; ``worst_case_seconds`` if every wait takes its whole deadline."""

    batches: tuple[tuple[str, ...], ...]
    serving: int
    minimum: int
    worst_case_seconds: int


def order_by_zone(hosts: Iterable[Host]) -> list[list[Host]]:
    """Hosts zone by zone; a zone that already has a host out comes first, so that two zones are never touched at once."""
    zones: dict[str, list[Host]] = {}
    for host in sorted(hosts, key=lambda h: (h.zone, h.lifecycle == "InService", h.instance_id)):
        zones.setdefault(host.zone, []).append(host)
    return sorted(zones.values(), key=lambda zone: (zone[0].lifecycle == "InService", zone[0].zone))


def plan_batches(fleet: Fleet, batch_size: int, done: Sequence[str] = ()) -> tuple[tuple[str, ...], ...]:
    """Batches of at most ``batch_size`` hosts, never across zones, without those that an earlier run has done."""
    todo = [h for h in fleet.hosts if h.instance_id not in done or h.lifecycle != "InService"]
    batches: list[tuple[str, ...]] = []
    for zone in order_by_zone(todo):
        ids = [h.instance_id for h in zone]
        batches += [tuple(ids[i : i + batch_size]) for i in range(0, len(ids), batch_size)]
    return tuple(batches)


def seconds_per_batch(fleet: Fleet, work_seconds: int) -> int:
    """Drain, work and become healthy again, each at its longest."""
    drain = max((g.deregistration_delay for g in fleet.target_groups), default=0)
    healthy = max((g.seconds_to_healthy for g in fleet.target_groups), default=0)
    return drain + work_seconds + healthy + 3 * SLACK_SECONDS


def make_plan(fleet: Fleet, *, batch_size: int, work_seconds: int, done: Sequence[str] = ()) -> Plan:
    """The plan of a rolling operation, or PlanError if the minimum would not hold at every step.

    ``batch_size`` hosts are out at a time. A host that an interrupted operation left in Standby is planned first and
    is not counted as serving.
    """
    if batch_size < 1:
        raise PlanError(f"batch size {batch_size}: at least 1 host must be taken at a time (fleet_batch_size).")
    if not fleet.hosts:
        raise PlanError(
            f"Auto Scaling group {fleet.name} has no hosts; nothing to do. Check fleet_name and the region."
        )
    if not fleet.target_groups:
        raise PlanError(
            f"Auto Scaling group {fleet.name} has no target group: without one nobody can tell whether a host is drained "
            "or healthy. Attach it to the load balancer (playbooks/fleet.yml)."
        )
    unhealthy = [h for h in fleet.hosts if h.lifecycle == "InService" and not h.serving]
    if unhealthy:
        raise PlanError(
            f"Auto Scaling group {fleet.name}: not every host serves ({describe_hosts(unhealthy)}). "
            "A roll would take away healthy capacity on top of that. Mend or terminate the host first."
        )
    serving = sum(h.serving for h in fleet.hosts)
    standby = sum(h.lifecycle == "Standby" for h in fleet.hosts)
    lowest = serving - max(0, batch_size - standby)
    if lowest < max(1, fleet.min_size):
        raise PlanError(
            f"Auto Scaling group {fleet.name}: {serving} hosts serve; with {batch_size} out at a time {lowest} would be left, "
            f"but MinSize is {fleet.min_size} and at least 1 must serve. Raise the desired capacity to at least "
            f"{max(1, fleet.min_size) + batch_size} (MaxSize {fleet.max_size}), or take fewer at a time (fleet_batch_size)."
        )
    batches = plan_batches(fleet, batch_size, done)
    worst = len(batches) * seconds_per_batch(fleet, work_seconds)
    return Plan(batches=batches, serving=serving, minimum=lowest, worst_case_seconds=worst)


def describe_plan(fleet: Fleet, plan: Plan, operation: str) -> list[str]:
    """The plan in lines for a person."""
    zones = {h.instance_id: h.zone for h in fleet.hosts}
    lines = [
        f"{operation} of {fleet.name}: {sum(map(len, plan.batches))} of {len(fleet.hosts)} hosts in {len(plan.batches)} steps, "
        f"never fewer than {plan.minimum} serving (MinSize {fleet.min_size}), at the worst {plan.worst_case_seconds} s",
    ]
    lines += [f"step {n}: {zones[batch[0]]} {', '.join(batch)}" for n, batch in enumerate(plan.batches, 1)]
    return lines


def describe_hosts(hosts: Iterable[Host]) -> str:
    """Each host with its zone, lifecycle state and what the target groups say, for a message."""
    return "; ".join(f"{h.instance_id} in {h.zone}, {h.lifecycle}: {_describe_targets(h)}" for h in hosts) or "no hosts"


def _describe_targets(host: Host) -> str:
    if not host.targets:
        return "registered nowhere"
    return ", ".join(f"{t.group} {t.state}" + (f" ({t.reason})" if t.reason else "") for t in host.targets)
