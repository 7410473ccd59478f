"""The rendered register is what the register says; no control is without a test."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.host import RELEASES
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control, load

from tests.support.hardening.cases import CASES
from tests.support.tree import output, run

ROOT = Path(__file__).parents[2]
REGISTER = load([ROOT / "controls"])


def test_the_rendered_register_is_up_to_date() -> None:
    done = run(sys.executable, "scripts/controls.py", "--check")
    assert done.returncode == 0, output(done)


@pytest.mark.parametrize("control", REGISTER, ids=lambda control: control.id)
def test_the_control_is_broken_on_a_machine_of_each_release_or_tested_by_hand(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """molecule/hardening breaks it, and sees that it is found, remediated and left alone."""
    monkeypatch.syspath_prepend(ROOT / "molecule/hardening/tests")
    recipe = importlib.import_module("breaks").recipe
    by_hand = {case.id for case in CASES}
    for release in control.applies.get("os", RELEASES.values()):
        assert recipe(control, release) or f"{control.id}-{release}" in by_hand
