"""What is missing for a unit to run and to start at boot."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_state import Unit, missing_steps


@pytest.mark.parametrize(
    ("active", "at_boot", "enabled", "running", "steps"),
    [
        ("active", "enabled", True, True, []),
        ("active", "static", True, True, []),
        ("activating", "enabled", True, True, []),
        ("inactive", "disabled", True, True, ["enable", "start"]),
        ("failed", "enabled", True, True, ["start"]),
        ("inactive", "", True, True, ["enable", "start"]),
        ("active", "enabled", True, False, ["stop"]),
        ("active", "enabled", False, None, ["disable"]),
        ("inactive", "masked", None, None, []),
    ],
)
def test_only_what_is_missing_is_done(
    active: str, at_boot: str, enabled: bool | None, running: bool | None, steps: list[str]
) -> None:
    assert missing_steps({"ActiveState": active, "UnitFileState": at_boot}, enabled, running) == steps


def test_a_refusal_of_systemctl_is_told_in_its_words() -> None:
    unit = Unit(lambda _argv: (5, "", "Unit shop.service not found.\n"), "shop")
    assert unit.do("start") == "systemctl start shop ended with code 5: Unit shop.service not found."
