# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of a rolling operation as pure functions: which hosts, in what order, and whether the fleet keeps serving.

Runs on the control node only. Source: "How suspended processes affect other processes" (Amazon EC2 Auto Scaling User Guide).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .._aws.errors import UserError

# What one poll, one API answer and one scheduling delay may add to each waiting step of a host.
LIFECYCLE_SECONDS = 120
"""How long Auto Scaling may take over a change of a host's lifecycle; it promises nothing, and is usually done within a minute."""
MOVING = ("EnteringStandby", "Pending")
"""Lifecycle states from which a host of an operation soon is in Standby or in service."""

RETURNING = ("Launch", "AddToLoadBalancer")
"""Processes without which Auto Scaling does not return a host from Standby, or may not register it with its target groups."""


class PlanError(UserError):
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
    def leaving(self) -> bool:
        """On its way out of the group, or kept outside of it (a warm pool): never part of an operation."""
        return self.lifecycle.startswith(("Terminat", "Detach", "Quarantined", "Warmed"))

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
        if found := self.find(instance_id):
            return found
        raise PlanError(
            f"{instance_id} is not a member of Auto Scaling group {self.name} any more: it was terminated or detached."
        )

    def find(self, instance_id: str) -> Host | None:
        return next((host for host in self.hosts if host.instance_id == instance_id), None)

    @property
    def drain_seconds(self) -> int:
        """The longest that moving a host to Standby may take: the slowest target group's delay, and Auto Scaling's own time."""
        return max((g.deregistration_delay for g in self.target_groups), default=0) + LIFECYCLE_SECONDS

    @property
    def healthy_seconds(self) -> int:
        """The longest that returning a host to service may take. A first check that fails costs a whole round of checks more."""
        return 2 * max((g.seconds_to_healthy for g in self.target_groups), default=0) + LIFECYCLE_SECONDS


@dataclass(frozen=True)
class Plan:
    """Batches of instance ids, each within one zone. ``worst_case_seconds``: if every wait takes its whole deadline."""

    batches: tuple[tuple[str, ...], ...]
    serving: int
    minimum: int
    worst_case_seconds: int
    left_out: tuple[Host, ...] = ()
    """Hosts that are leaving the group, or not in service yet."""


def order_by_zone(hosts: Iterable[Host]) -> list[list[Host]]:
    """Hosts zone by zone; a zone with a host that does not serve comes first, so that two zones are never touched at once."""
    zones: dict[str, list[Host]] = {}
    for host in sorted(hosts, key=lambda h: (h.zone, h.serving, h.instance_id)):
        zones.setdefault(host.zone, []).append(host)
    return sorted(zones.values(), key=lambda zone: (zone[0].serving, zone[0].zone))


def plan_batches(hosts: Iterable[Host], batch_size: int) -> tuple[tuple[str, ...], ...]:
    """Batches of at most ``batch_size`` hosts, never across zones."""
    batches: list[tuple[str, ...]] = []
    for zone in order_by_zone(hosts):
        ids = [h.instance_id for h in zone]
        batches += [tuple(ids[i : i + batch_size]) for i in range(0, len(ids), batch_size)]
    return tuple(batches)


def seconds_per_batch(fleet: Fleet, work_seconds: int) -> int:
    """Drain, work and become healthy again, each at its longest."""
    return fleet.drain_seconds + work_seconds + fleet.healthy_seconds


def make_plan(
    fleet: Fleet,
    *,
    batch_size: int,
    work_seconds: int,
    done: Collection[str] = (),
    own: Collection[str] = (),
    adopt: bool = False,
) -> Plan:
    """The plan of a rolling operation, or PlanError if the minimum would not be kept at every step.

    ``batch_size`` hosts are in Standby at a time. ``done``: hosts that an earlier run has finished. ``own``: hosts that it has left in
    Standby or not healthy; they come first and are not counted as serving. Somebody else's host in Standby is refused, unless ``adopt``.
    Hosts that are leaving the group or not in service yet are left out.
    """
    if adopt:
        own = {*own, *(h.instance_id for h in fleet.hosts if h.lifecycle == "Standby")}
    _check_ready(fleet, batch_size, own)
    able = [h for h in fleet.hosts if h.lifecycle == "InService" or (h.instance_id in own and not h.leaving)]
    if not able:
        raise PlanError(
            f"Auto Scaling group {fleet.name}: no host is in service ({describe_hosts(fleet.hosts)}). Wait until one is."
        )
    todo = [h for h in able if h.instance_id not in done or not h.serving]
    serving = sum(h.serving for h in fleet.hosts)
    # Of a batch, those that serve nobody anyway cost nothing.
    lowest = serving - max(0, min(batch_size, len(todo)) - sum(not h.serving for h in todo))
    least = max(1, fleet.min_size)
    if todo and lowest < least:
        raise PlanError(
            f"Auto Scaling group {fleet.name}: {serving} hosts serve; with {batch_size} in Standby at a time {lowest} would be left, "
            f"but MinSize is {fleet.min_size} and at least 1 must serve. Raise the desired capacity to at least "
            f"{least + batch_size} (MaxSize {fleet.max_size}), or make the batches smaller (fleet_batch_size)."
        )
    batches = plan_batches(todo, batch_size)
    worst = len(batches) * seconds_per_batch(fleet, work_seconds)
    left_out = tuple(h for h in fleet.hosts if h not in able)
    return Plan(batches, serving, lowest, worst, left_out)


def check_return(fleet: Fleet) -> None:
    """Raises PlanError if a host that goes to Standby could not come back."""
    if suspended := [process for process in RETURNING if process in fleet.suspended]:
        names = " and ".join(suspended)
        raise PlanError(
            f"Auto Scaling group {fleet.name}: {names} is suspended, so a host could not be returned from Standby and served from. "
            f"Resume it first (aws autoscaling resume-processes --scaling-processes {' '.join(suspended)})."
        )


def _check_ready(fleet: Fleet, batch_size: int, own: Collection[str]) -> None:
    """Raises PlanError for a fleet on which no operation may start."""
    if batch_size < 1:
        raise PlanError(f"batch size {batch_size}: a batch has at least 1 host (fleet_batch_size).")
    if not fleet.hosts:
        raise PlanError(
            f"Auto Scaling group {fleet.name} has no hosts; nothing to do. Check fleet_name and the region."
        )
    if not fleet.target_groups:
        raise PlanError(
            f"Auto Scaling group {fleet.name} has no target group: without one nobody can tell whether a host is drained "
            "or healthy. Attach it to the load balancer (ecommerce.fleet.fleet)."
        )
    check_return(fleet)
    others = [h for h in fleet.hosts if h.instance_id not in own]
    if foreign := [h for h in others if h.lifecycle in ("Standby", "EnteringStandby")]:
        raise PlanError(
            f"Auto Scaling group {fleet.name}: {describe_hosts(foreign)}: no operation of this collection has put it there. "
            "Return it to service (aws autoscaling exit-standby) or terminate it first. "
            "With -e fleet_force=true this operation takes it first and returns it to service."
        )
    if unhealthy := [h for h in others if h.lifecycle == "InService" and not h.serving]:
        raise PlanError(
            f"Auto Scaling group {fleet.name}: not every host serves ({describe_hosts(unhealthy)}). "
            "A roll would reduce healthy capacity further. Fix or terminate the host first."
        )


def describe_plan(fleet: Fleet, plan: Plan, operation: str) -> list[str]:
    """The plan in lines for a person."""
    zones = {h.instance_id: h.zone for h in fleet.hosts}
    lines = [
        f"{operation} of {fleet.name}: {sum(map(len, plan.batches))} of {len(fleet.hosts)} hosts in {len(plan.batches)} steps, "
        f"never fewer than {plan.minimum} serving (MinSize {fleet.min_size}), at the worst {plan.worst_case_seconds} s",
    ]
    lines += [f"step {n}: {zones[batch[0]]} {', '.join(batch)}" for n, batch in enumerate(plan.batches, 1)]
    return lines + [f"left out: {describe_hosts([host])}" for host in plan.left_out]


def describe_hosts(hosts: Iterable[Host]) -> str:
    """Each host with its zone, lifecycle state and what the target groups say, for a message."""
    return "; ".join(f"{h.instance_id} in {h.zone}, {h.lifecycle}: {_describe_targets(h)}" for h in hosts) or "no hosts"


def _describe_targets(host: Host) -> str:
    if not host.targets:
        return "registered nowhere"
    return ", ".join(f"{t.group} {t.state}" + (f" ({t.reason})" if t.reason else "") for t in host.targets)
