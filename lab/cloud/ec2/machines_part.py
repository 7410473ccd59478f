"""The part of the reconciler that makes machines match the EC2 records."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from moto.ec2.models import ec2_backends

from lab.cloud.ec2.instance_records import LabInstance
from lab.cloud.reconciler import Actions
from lab.errors import LabError
from lab.machines.images import ImageStore
from lab.machines.machine import Machine
from lab.machines.spec import MachineSpec
from lab.settings import Settings

log = logging.getLogger("lab.ec2")

SERVER_ERROR = "Server.InternalError"
SHUTDOWN = "Client.InstanceInitiatedShutdown"
CHECK_SECONDS = 3.0
"""How often a machine that answers is asked again; one that boots is asked at every pass."""
SILENCE_SECONDS = 10.0
"""How long a machine that had answered may be silent before its reachability check fails."""
BOOT_CHECK_SECONDS, STATUS_CHECK_SECONDS = 0.5, 3.0
"""Between two looks at a machine that has not answered yet, and at one that has."""


def instances() -> Iterator[LabInstance]:
    """All instances of all regions. The lock is held."""
    for _, _, backend in list(ec2_backends.iter_backends()):
        for reservation in backend.reservations.values():
            yield from reservation.instances


class Machines:
    """One machine per instance that is not terminated. Machines of stopped instances keep their disk."""

    def __init__(self, settings: Settings, store: ImageStore) -> None:
        self._settings = settings
        self._store = store
        self._machines: dict[str, Machine] = {}
        self._answered: dict[str, float] = {}

    def machine(self, instance_id: str) -> Machine | None:
        return self._machines.get(instance_id)

    def settle(self, actions: Actions) -> None:
        for instance in list(instances()):
            if instance.state not in ("terminated", "stopped") and not actions.busy(instance.id):
                self._settle_one(instance, actions)

    def close(self) -> None:
        for machine in list(self._machines.values()):
            machine.destroy()
        self._machines.clear()

    def stop_all(self) -> list[str]:
        """Shuts every machine down and returns the names of those that ran; their disks stay. The loop is paused."""
        running = [name for name, machine in self._machines.items() if machine.running]
        with ThreadPoolExecutor() as pool:
            list(pool.map(Machine.stop, self._machines.values()))
        return running

    def start(self, names: Iterable[str]) -> None:
        """Boots these machines. The loop is paused."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Machine.start, [self._machines[name] for name in names]))

    def machines(self) -> Mapping[str, Machine]:
        """By instance id."""
        return dict(self._machines)

    def replace(self, specs: Iterable[MachineSpec], running: Iterable[str]) -> None:
        """Throws every machine away and makes these, of which those in ``running`` boot. The loop is paused."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Machine.destroy, self._machines.values()))
            self._machines = {spec.name: Machine(self._settings, spec) for spec in specs}
            self._answered.clear()
        self.start(running)

    def _settle_one(self, instance: LabInstance, actions: Actions) -> None:
        machine = self._machines.get(instance.id)
        match instance.state:
            case "pending":
                self._start(instance, actions)
            case "running" if machine is not None:
                self._watch(instance, machine, actions)
            case "stopping":
                self._end(instance, machine, actions, "stopped")
            case "shutting-down":
                self._end(instance, machine, actions, "terminated")

    def _start(self, instance: LabInstance, actions: Actions) -> None:
        machine = self._machines.get(instance.id)
        if machine is None:
            try:
                machine = Machine(self._settings, self._spec(instance, self._store.layers(instance.image_id)))
            except LabError as error:
                instance.enter("shutting-down", SERVER_ERROR, f"{SERVER_ERROR}: {error}")
                return
            self._machines[instance.id] = machine

        def started(_: None) -> None:
            if instance.state == "pending":
                instance.enter("running")

        def failed(error: Exception) -> None:
            instance.enter("shutting-down", SERVER_ERROR, f"{SERVER_ERROR}: the machine did not start: {error}")

        actions.start(instance.id, machine.start, started, failed)

    def _spec(self, instance: LabInstance, layers: tuple[Path, ...]) -> MachineSpec:
        return MachineSpec(
            name=instance.id,
            address=instance.private_ip,
            mac=instance.nics[0].mac_address,
            layers=layers,
            hostname=instance.private_dns_name,
            environment=self._settings.machine_environment(),
        )

    def _watch(self, instance: LabInstance, machine: Machine, actions: Actions) -> None:
        if instance.reboot_requested:
            self._reboot(instance, machine, actions)
        elif machine.exited == "poweroff":
            self._shut_down_inside(instance)
        elif not machine.running:
            instance.reachability = "failed"  # its kernel has crashed, as it were: EC2 leaves it running, impaired
        elif instance.reachability != "passed" or self._since_answer(instance) > CHECK_SECONDS:
            key = ("status", instance.id)
            actions.start(key, lambda: machine.booted, lambda ok: self._reached(instance, answered=ok), lambda _: None)

    def _since_answer(self, instance: LabInstance) -> float:
        return time.monotonic() - self._answered.get(instance.id, 0.0)

    def _shut_down_inside(self, instance: LabInstance) -> None:
        """InstanceInitiatedShutdownBehavior decides what `poweroff` on the machine means."""
        terminate = instance.instance_initiated_shutdown_behavior == "terminate"
        instance.enter(
            "shutting-down" if terminate else "stopping", SHUTDOWN, f"{SHUTDOWN}: Instance initiated shutdown"
        )

    def _reboot(self, instance: LabInstance, machine: Machine, actions: Actions) -> None:
        """EC2's reboot also brings a machine back that has crashed."""

        def rebooted(_: None) -> None:
            instance.reachability = "initializing"

        def failed(error: Exception) -> None:
            log.warning("%s did not reboot: %s", instance.id, error)

        instance.reboot_requested = False
        actions.start(instance.id, machine.reboot if machine.running else machine.start, rebooted, failed)

    def _reached(self, instance: LabInstance, *, answered: bool) -> None:
        """`initializing` until the machine answers once, `failed` when it has stopped answering."""
        if answered:
            self._answered[instance.id] = time.monotonic()
            instance.reachability = "passed"
        elif instance.reachability == "passed" and self._since_answer(instance) > SILENCE_SECONDS:
            instance.reachability = "failed"

    def _end(self, instance: LabInstance, machine: Machine | None, actions: Actions, final: str) -> None:
        def work() -> None:
            if machine is not None:
                machine.stop()
                if final == "terminated":
                    machine.destroy()

        def ended(_: None) -> None:
            if final == "terminated":
                self._machines.pop(instance.id, None)
                instance.forget_devices()
            elif instance.state == "stopping":
                instance.enter("stopped", instance.state_reason.code, instance.state_reason.message)

        def failed(error: Exception) -> None:
            instance.state_reason.message = f"{SERVER_ERROR}: {error}"

        actions.start(instance.id, work, ended, failed)
