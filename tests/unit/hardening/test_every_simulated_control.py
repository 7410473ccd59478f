"""Controls that a machine of the lab can't show in full: each is broken, found, remediated and left alone on a machine of files.

Generated from the register for every control of the types in SIMULATED; the controls marked ``by_hand`` in the register that are of other
types have a machine of their own in BY_HAND.
"""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control

from tests.support.hardening.cases import BY_HAND, CASES, REGISTER, REPAIRS
from tests.support.hardening.machine import Machine
from tests.support.hardening.simulated import SIMULATED


def broken(machine: Machine, control: Control, release: str) -> None:
    """Make a machine on which the control applies and fails."""
    if control.id in BY_HAND:
        BY_HAND[control.id](machine, control)
    else:
        SIMULATED[control.type](machine, {**control.state, **control.per_os.get(release, {})})
    if package := control.applies.get("package"):
        machine.answers["rpm -qa"] = (0, f"{package if isinstance(package, str) else package[0]}\n")


@pytest.mark.parametrize(("control", "release"), CASES)
def test_the_control_is_found_broken_remediated_and_left_alone(
    machine: Machine, control: Control, release: str
) -> None:
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
        reported = "not_applied_here" if control.type == "selinux_mode" else "fail"
        assert run(enforce=True) == (reported, False)
        REPAIRS[control.id](machine)
    else:
        assert run(enforce=True) == ("changed", True)
    assert run(enforce=False) == ("pass", False)
    assert run(enforce=True) == ("pass", False)


def test_every_control_that_is_marked_by_hand_is_tested_here_and_no_machine_is_left_over() -> None:
    marked = {control.id for control in REGISTER if "by_hand" in control.test and control.type not in SIMULATED}
    assert set(BY_HAND) == marked
