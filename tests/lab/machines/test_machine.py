"""Machines on a bare network: booting, ending, and what is left of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from lab import processes
from lab.errors import LabError
from lab.machines.layers import LONGEST_OPTIONS, overlay_options
from lab.machines.machine import Machine
from lab.machines.spec import MachineSpec
from lab.settings import Settings
from tests.support.waiting import wait_for

NUMBERS = count(10)


def spec(layers: tuple[Path, ...], environment: dict[str, str] | None = None) -> MachineSpec:
    number = next(NUMBERS)
    return MachineSpec(
        name=f"i-{number:017x}",
        address=f"10.0.16.{number}",
        mac=f"0a:00:0a:00:10:{number:02x}",
        layers=layers,
        hostname=f"ip-10-0-16-{number}.ec2.internal",
        environment=environment or {},
    )


def booted(machine: Machine) -> Machine:
    machine.start()
    wait_for(f"SSH daemon on {machine.spec.name}; console: {machine.console}", lambda: machine.booted)
    return machine


@pytest.fixture(scope="module")
def machine(bare: Settings, base_root: Path) -> Iterator[Machine]:
    made = booted(Machine(bare, spec((base_root,), {"COLOUR": "blue"})))
    yield made
    made.destroy()


def output(machine: Machine, *argv: str) -> str:
    return machine.exec(argv, timeout=20).stdout.strip()


@pytest.mark.lab
def test_a_machine_boots_as_itself(machine: Machine) -> None:
    assert output(machine, "hostname") == machine.spec.hostname
    assert f"{machine.spec.address}/16" in output(machine, "ip", "-4", "address", "show", "host0")
    assert machine.spec.mac in output(machine, "ip", "link", "show", "host0")
    assert "169.254.169.254 dev host0" in output(machine, "ip", "route")
    assert "default via 10.0.0.1" in output(machine, "ip", "route")


@pytest.mark.lab
def test_every_service_of_a_machine_has_its_environment(machine: Machine) -> None:
    assert output(machine, "systemd-run", "--pipe", "--quiet", "printenv", "COLOUR") == "blue"


@pytest.mark.lab
def test_no_unit_of_a_freshly_booted_machine_has_failed(machine: Machine) -> None:
    assert output(machine, "systemctl", "--failed", "--no-legend") == ""


@pytest.mark.lab
def test_sudo_does_not_wait_for_dns(machine: Machine) -> None:
    assert machine.exec(["sudo", "true"], timeout=2).returncode == 0


@pytest.mark.lab
def test_what_leaves_for_the_outside_is_refused_at_once(machine: Machine) -> None:
    done = machine.exec(["python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 5)"], timeout=3)
    assert "unreachable" in done.stderr


@pytest.mark.lab
def test_a_rebooted_machine_comes_back_with_its_disk_and_address(machine: Machine) -> None:
    machine.exec(["sh", "-c", "echo kept > /root/file; echo lost > /run/file"], timeout=10)
    boot_id = ("cat", "/proc/sys/kernel/random/boot_id")
    before = output(machine, *boot_id)
    machine.reboot()
    wait_for("restart", lambda: output_or_nothing(machine, *boot_id) not in ("", before))
    wait_for("SSH daemon", lambda: machine.booted)
    assert output(machine, "cat", "/root/file") == "kept"
    assert machine.exec(["test", "-e", "/run/file"], timeout=10).returncode == 1
    assert machine.exited is None


def output_or_nothing(machine: Machine, *argv: str) -> str:
    try:
        return output(machine, *argv)
    except LabError:
        return ""


@pytest.mark.lab
def test_a_machine_stops_before_its_time_is_up_and_starts_again(bare: Settings, base_root: Path) -> None:
    machine = Machine(bare, spec((base_root,)))
    machine.start()
    machine.stop(timeout=20)  # in the first moments of its boot, when systemd-nspawn's own signals are lost
    assert not machine.running
    assert [command for p in processes.ours(bare) if machine.spec.name in (command := _command(p))] == []
    booted(machine)
    machine.destroy()
    assert not machine.directory.exists()


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.lab
def test_a_machine_that_powers_itself_off_says_so(bare: Settings, base_root: Path) -> None:
    machine = booted(Machine(bare, spec((base_root,))))
    machine.exec(["systemctl", "--no-block", "poweroff"], timeout=10)
    wait_for("end", lambda: not machine.running)
    assert machine.exited == "poweroff"
    with pytest.raises(LabError, match="not running"):
        machine.exec(["true"], timeout=5)
    machine.destroy()


@pytest.mark.lab
def test_machines_of_a_killed_lab_are_found_and_ended_even_without_their_nspawn(
    bare: Settings, base_root: Path
) -> None:
    machine = booted(Machine(bare, spec((base_root,))))
    leader = next(p for p in processes.ours(bare) if processes.is_init(p) and machine.spec.name in _mounts(p))
    os.kill(int(Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    wait_for("end of nspawn", lambda: not machine.running)
    assert processes.alive(leader), "the machine has to outlive its nspawn for this test to mean something"
    machine.settings.netns_path.stat()
    assert processes.end(bare) >= 1
    assert not processes.alive(leader)


def _mounts(pid: int) -> str:
    return Path(f"/proc/{pid}/mountinfo").read_text()


def test_a_root_file_system_of_too_many_layers_is_refused() -> None:
    layers = [Path(f"/var/lib/ecommerce-fleet/lab/images/layers/{n:032x}") for n in range(LONGEST_OPTIONS // 60)]
    with pytest.raises(LabError, match="too many"):
        overlay_options(layers, Path("/u"), Path("/w"))
