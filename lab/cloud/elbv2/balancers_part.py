"""The part of the reconciler that makes HAProxy processes and health checks match the load balancer records."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, Literal

from moto.elbv2.models import elbv2_backends

from lab.balancer.health import Probe
from lab.balancer.plan import Plan, Server
from lab.balancer.process import Balancer
from lab.cloud.elbv2.haproxy_plan import check_of, plan_of, pool_name
from lab.cloud.elbv2.load_balancer_records import groups_of
from lab.cloud.elbv2.target_group_records import LabTargetGroup, Target, probed_health
from lab.cloud.reconciler import Actions, wake
from lab.network.hosts_file import HostsFile
from lab.settings import Settings

log = logging.getLogger("lab.elbv2")

Servers = dict[str, tuple[Server, ...]]
Key = tuple[str, Target]


class Balancers:
    """One HAProxy per load balancer, one probe per target of a group in use."""

    def __init__(self, settings: Settings, hosts: HostsFile) -> None:
        self._settings = settings
        self._hosts = hosts
        self._balancers: dict[str, Balancer] = {}
        self._applied: dict[str, tuple[Plan, Servers]] = {}
        self._probes: dict[Key, Probe] = {}

    def settle(self, actions: Actions) -> None:
        records = [
            (b, backend)
            for _, _, backend in list(elbv2_backends.iter_backends())
            for b in backend.load_balancers.values()
        ]
        self._settle_probes(records)
        for record, backend in records:
            self._settle_one(record, backend, actions)
        self._remove_gone({record.arn for record, _ in records}, actions)
        for _, _, backend in list(elbv2_backends.iter_backends()):
            for group in backend.target_groups.values():
                self._end_drains(group)
        active = {record.dns_name: record.address for record, _ in records if record.state == "active"}
        self._hosts.set("load-balancers", active)

    def forget_probes(self) -> None:
        """What was seen of the targets is out of date: they are probed from the beginning. The lock is held."""
        for key, probe in self._probes.items():
            probe.stop()
            del probed_health[key]
        self._probes.clear()

    def close(self) -> None:
        for probe in self._probes.values():
            probe.stop()
        for balancer in self._balancers.values():
            balancer.destroy()
        self._balancers.clear()

    def _settle_probes(self, records: list[tuple[Any, Any]]) -> None:
        """Starts the probes that are missing or have another check, stops the others."""
        desired = {}
        for record, backend in records:
            for group in _groups(record, backend):
                for target in group.registered():
                    address = _address(group, target)
                    if address:
                        desired[group.arn, target] = check_of(group, address, target)
        for key, probe in list(self._probes.items()):
            if desired.get(key) != probe.check:
                probe.stop()
                del self._probes[key], probed_health[key]
        for key, check in desired.items():
            if key not in self._probes:
                probe = Probe(check, self._settings.netns_path, wake)
                self._probes[key] = probe
                probed_health[key] = lambda probe=probe: probe.health  # type: ignore[misc]

    def _settle_one(self, record: Any, backend: Any, actions: Actions) -> None:
        name = record.arn.rsplit("/", 1)[-1]
        balancer = self._balancers.setdefault(record.arn, Balancer(self._settings, name))
        plan = plan_of(record, backend, self._settings.balancers_dir / "certificates" / name)
        servers = {pool_name(g.arn): tuple(self._servers(g)) for g in _groups(record, backend)}
        desired = (plan, servers)
        settled = desired == self._applied.get(record.arn) and balancer.running and not balancer.leftovers
        if settled:
            return

        def done(_: None) -> None:
            self._applied[record.arn] = desired
            record.state, record.state_reason = "active", None

        def failed(error: Exception) -> None:
            record.state = "failed" if record.state == "provisioning" else "active_impaired"
            record.state_reason = str(error)

        actions.start(record.arn, lambda: balancer.apply(plan, servers), done, failed)

    def _servers(self, group: LabTargetGroup) -> Iterator[Server]:
        """Healthy targets take requests; all do when every one is unhealthy (the load balancer fails open)."""
        states = {target: group.state_of(target)[0] for target in group.registered()}
        counted = [s for s in states.values() if s != "unused"]
        fail_open = bool(counted) and all(s == "unhealthy" for s in counted)
        for target, state in states.items():
            address = _address(group, target)
            if address and state != "unused":
                ready: Literal["ready", "maint"] = "ready" if state == "healthy" or fail_open else "maint"
                yield Server(target.server, address, target.port, ready)
        for draining in group.draining.values():
            if address := _address(group, draining.target, draining=True):
                yield Server(draining.target.server, address, draining.target.port, "maint")

    def _end_drains(self, group: LabTargetGroup) -> None:
        """The delay is over: the target is unused; HAProxy closes what is still open when it drops the server."""
        for target in group.finish_draining(time.monotonic()):
            log.info("%s has left %s", target.id, group.name)
            wake()

    def _remove_gone(self, present: set[str], actions: Actions) -> None:
        for arn in set(self._balancers) - present:
            balancer = self._balancers[arn]

            def done(_: None, arn: str = arn) -> None:
                self._balancers.pop(arn, None)
                self._applied.pop(arn, None)

            actions.start(arn, balancer.destroy, done, lambda error: log.warning("Removing a load balancer: %s", error))


def _groups(record: Any, backend: Any) -> list[LabTargetGroup]:
    return [backend.target_groups[arn] for arn in sorted(groups_of(record)) if arn in backend.target_groups]


def _address(group: LabTargetGroup, target: Target, *, draining: bool = False) -> str | None:
    """Where a target is; None for an instance that does not run (unless it is draining: what it has may finish)."""
    if group.target_type == "ip":
        return target.id
    instance = group.ec2_backend.get_instance_by_id(target.id)
    if instance is None or (instance.state != "running" and not draining):
        return None
    address: str = instance.private_ip
    return address
