"""A lab that is saved under a name and restored from it as often as one likes: records, machines' disks, images, repositories.

What machines have in memory is not saved: saving and restoring boot them. A save lasts as long as its lab is up.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.ssm.models import ssm_backends

from lab.cloud.autoscaling.groups_part import Groups
from lab.cloud.ec2.machines_part import Machines, instances
from lab.cloud.elbv2.balancers_part import Balancers
from lab.cloud.elbv2.target_group_records import Target
from lab.cloud.reconciler import Reconciler, lock
from lab.daemon import records
from lab.daemon.records import Records
from lab.errors import LabError
from lab.machines.images import ImageStore
from lab.machines.spec import MachineSpec
from lab.settings import Settings

log = logging.getLogger("lab.saved")

READY_SECONDS = 90
AT_REST = ("running", "stopped", "terminated")


@dataclass(frozen=True)
class Health:
    """What answered when the lab was saved, and has to answer again."""

    targets: frozenset[tuple[str, Target]]
    """(target group ARN, target) of every healthy target."""
    agents: frozenset[str]
    """Ids of the instances whose SSM agent was online."""


@dataclass(frozen=True)
class Saved:
    """One saved lab."""

    records: Records
    machines: tuple[MachineSpec, ...]
    running: frozenset[str]
    images: Mapping[str, tuple[Path, ...]]
    """Image id → its layers."""
    repositories: Mapping[Path, Path]
    """Each link that says which state of a repository is served → where it points."""
    known_hosts: str
    health: Health


class Saves:
    """Of one lab; one command at a time."""

    def __init__(self, settings: Settings, store: ImageStore, reconciler: Reconciler) -> None:
        self._settings = settings
        self._store = store
        self._reconciler = reconciler
        self._machines = reconciler.part(Machines)
        self._balancers = reconciler.part(Balancers)
        self._saves: dict[str, Saved] = {}

    def save(self, name: str) -> None:
        """Saves the lab once nothing is on its way, in place of an earlier save of the name. Raises LabError when something stays so."""
        with self._reconciler.paused():
            if not self._reconciler.catch_up(lambda: not _on_its_way(), READY_SECONDS):
                raise LabError(f"The lab cannot be saved while {', '.join(_on_its_way())}", hint="See `lab status`.")
            with lock:
                health = _health()
            stopped = self._machines.stop_all()  # also since machines' agents write records that are not under the lock
            try:
                with lock:
                    copy = records.copy_of(records.current())
            except BaseException:
                self._machines.start(stopped)
                raise
            with lock:
                saved = self._taken(copy, health)
            self._saves[name] = saved
            self._store.keep(name, _layers(saved))
            self._put_back(name, saved)
        self._store.collect()

    def restore(self, name: str) -> None:
        """Puts the lab back to what it was when it was saved; returns once everything that was healthy then is so again."""
        if name not in self._saves:
            known = ", ".join(sorted(self._saves)) or "none"
            raise LabError(f"The lab {self._settings.name!r} has no save {name!r}", hint=f"Saves: {known}.")
        with self._reconciler.paused():
            self._put_back(name, self._saves[name])

    def _taken(self, copy: Records, health: Health) -> Saved:
        """The machines are stopped: what they have written becomes a layer that is not written to any more."""
        specs = []
        for machine in self._machines.machines().values():
            layer = self._store.adopt(machine.upper)
            specs.append(replace(machine.spec, saved=(layer, *machine.spec.saved)))
        served = [folder / ".current" for folder in self._settings.repositories_dir.iterdir()]
        known_hosts = self._settings.known_hosts
        return Saved(
            copy,
            tuple(specs),
            frozenset(i.id for i in instances() if i.state == "running"),
            self._store.stacks(),
            {link: link.readlink() for link in served if link.is_symlink()},
            known_hosts.read_text() if known_hosts.exists() else "",
            health,
        )

    def _put_back(self, name: str, saved: Saved) -> None:
        began = time.time()
        for image_id, stack in saved.images.items():
            self._store.put(image_id, stack)
        for link, target in saved.repositories.items():
            new = link.with_name(".restored")
            new.symlink_to(target)
            new.replace(link)
        self._settings.known_hosts.write_text(saved.known_hosts)
        shutil.rmtree(self._settings.control_path_dir, ignore_errors=True)  # ssh's connections to machines that go
        with lock:
            records.put_back(records.original_of(saved.records))
            for instance in instances():
                instance.reachability = "initializing"
            self._balancers.forget_probes()
        self._machines.replace(saved.machines, saved.running)
        # Auto Scaling would replace the hosts that are not healthy yet.
        if not self._reconciler.catch_up(lambda: not _missing(saved, began), READY_SECONDS, without=Groups):
            with lock:
                missing = ", ".join(_missing(saved, began))
            raise LabError(f"The lab is restored from {name!r}, but not healthy after {READY_SECONDS} s: {missing}")
        log.info("restored %s in %.1f s", name, time.time() - began)


def _on_its_way() -> list[str]:
    """Instances and images that are not in a state that lasts."""
    moving = [f"{i.id} is {i.state}" for i in instances() if i.state not in AT_REST]
    for _, _, backend in list(ec2_backends.iter_backends()):
        moving += [f"{image.id} is pending" for image in backend.amis.values() if image.state == "pending"]
    return sorted(moving)


def _health() -> Health:
    targets: set[tuple[str, Target]] = set()
    for _, _, backend in list(elbv2_backends.iter_backends()):
        for group in backend.target_groups.values():
            targets.update((group.arn, t) for t in group.registered() if group.state_of(t)[0] == "healthy")
    now = time.time()
    agents = {
        managed.instance_id
        for _, _, backend in list(ssm_backends.iter_backends())
        for managed in backend.run_command.managed()
        if managed.online(now)
    }
    return Health(frozenset(targets), frozenset(agents))


def _missing(saved: Saved, since: float) -> list[str]:
    """What is not yet as it was; the lock is held."""
    health = _health()
    reached = {i.id for i in instances() if i.reachability == "passed"}
    seen = {
        managed.instance_id
        for _, _, backend in list(ssm_backends.iter_backends())
        for managed in backend.run_command.managed()
        if managed.last_ping >= since
    }
    return sorted(
        [f"{name} does not answer" for name in saved.running - reached]
        + [f"target {target.id} is not healthy" for _, target in saved.health.targets - health.targets]
        + [f"the SSM agent of {name} is not online" for name in saved.health.agents - seen]
    )


def _layers(saved: Saved) -> set[Path]:
    found = {layer for stack in saved.images.values() for layer in stack}
    for spec in saved.machines:
        found.update(spec.layers, spec.saved)
    return found
