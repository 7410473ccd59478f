"""Controls that a machine of the lab cannot show in full, each with the way to break it on a machine of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.host import RELEASES
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control, load

from tests.support.hardening.machine import Machine
from tests.support.hardening.simulated import SIMULATED

REGISTER = load([Path(__file__).parents[3] / "controls"])


def boot_loader(machine: Machine, control: Control) -> None:
    """Its files as a new machine has them: everybody may read them."""
    for path in control.state["path"]:
        machine.put(path, "set timeout=0\n", 0o644)


def unconfined_service(machine: Machine, _control: Control) -> None:
    """A kernel with SELinux, and a daemon that no policy is about."""
    machine.put("/sys/fs/selinux/enforce", "1")
    machine.put("/proc/4242/attr/current", "system_u:system_r:unconfined_service_t:s0\0")
    machine.put("/proc/4242/cgroup", "0::/system.slice/ours.service\n")


def with_a_policy(machine: Machine) -> None:
    machine.put("/proc/4242/attr/current", "system_u:system_r:ours_t:s0\0")


def selinux(machine: Machine, control: Control) -> None:
    """Permissive now; disabled after the next boot where permissive would do."""
    machine.put("/sys/fs/selinux/enforce", "0")
    machine.put(
        "/etc/selinux/config", f"SELINUX={'disabled' if 'permissive' in control.state['modes'] else 'permissive'}\n"
    )


def made_enforcing(machine: Machine) -> None:
    machine.put("/sys/fs/selinux/enforce", "1")
    machine.put("/etc/selinux/config", "SELINUX=enforcing\n")


BY_HAND: dict[str, Callable[[Machine, Control], None]] = {
    "file-bootloader": boot_loader,
    "selinux-no-unconfined-services": unconfined_service,
    "selinux-not-disabled": selinux,
    "selinux-enforcing": selinux,
}


REPAIRS: dict[str, Callable[[Machine], None]] = {
    "selinux-no-unconfined-services": with_a_policy,
    "selinux-enforcing": made_enforcing,
}
"""Of controls that enforcing can't remediate: what a person does."""


CASES = [
    pytest.param(control, release, id=f"{control.id}-{release}")
    for control in REGISTER
    if control.type in SIMULATED or "by_hand" in control.test
    for release in control.applies.get("os", RELEASES.values())
]
