"""Controls that a machine of the lab can't show in full: each is broken, found, set right and left alone on a machine of files.

Generated from the register for every control of the types in SIMULATED; the controls marked ``by_hand`` in the register that are of other
types have a machine of their own in BY_HAND.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.module_utils.hardening.engine import evaluate
from plugins.module_utils.hardening.host import RELEASES
from plugins.plugin_utils.hardening.register import Control, load

from .conftest import Machine
from .simulated import SIMULATED

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


BY_HAND: dict[str, Callable[[Machine, Control], None]] = {
    "file-bootloader": boot_loader,
    "selinux-no-unconfined-services": unconfined_service,
}
REPAIRS: dict[str, Callable[[Machine], None]] = {"selinux-no-unconfined-services": with_a_policy}
"""Of controls that enforcing can't set right: what a person does."""
CASES = [
    pytest.param(control, release, id=f"{control.id}-{release}")
    for control in REGISTER
    if control.type in SIMULATED or "by_hand" in control.test
    for release in control.applies.get("os", RELEASES.values())
]


def broken(machine: Machine, control: Control, release: str) -> None:
    """Make a machine on which the control applies and does not hold."""
    if control.id in BY_HAND:
        BY_HAND[control.id](machine, control)
    else:
        SIMULATED[control.type](machine, {**control.state, **control.per_os.get(release, {})})
    if package := control.applies.get("package"):
        machine.answers["rpm -qa"] = (0, f"{package if isinstance(package, str) else package[0]}\n")


@pytest.mark.parametrize(("control", "release"), CASES)
def test_the_control_is_found_broken_set_right_and_left_alone(machine: Machine, control: Control, release: str) -> None:
    broken(machine, control, release)
    entry = control.for_host({})

    def run(*, enforce: bool) -> tuple[str, bool]:
        result = evaluate([entry], machine.host(release), enforce, {})[0]
        for name in list(machine.system._cache):
            machine.system.forget(name)
        return result["status"], result["changed"]

    assert run(enforce=False) == ("fail", False)
    assert run(enforce=False) == ("fail", False), "the audit has changed something"
    if control.id in REPAIRS:
        assert run(enforce=True) == ("fail", False)
        REPAIRS[control.id](machine)
    else:
        assert run(enforce=True) == ("changed", True)
    assert run(enforce=False) == ("pass", False)
    assert run(enforce=True) == ("pass", False)


def test_every_control_that_is_marked_by_hand_is_tested_here_and_no_machine_is_left_over() -> None:
    marked = {control.id for control in REGISTER if "by_hand" in control.test and control.type not in SIMULATED}
    assert set(BY_HAND) == marked
