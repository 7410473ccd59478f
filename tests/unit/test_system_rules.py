"""Which values the role system takes, and what it tells about locks and swap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import system_rules

ROLE = Path(__file__).resolve().parents[2] / "roles/system"
DEFAULTS: dict[str, Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
VALUES = {name.removeprefix("system_"): value for name, value in DEFAULTS.items()} | {"os_release": "2023"}
LOCK = {"name": "nginx", "version": "1:1.24.0-1.amzn2023"}


def test_the_defaults_are_allowed() -> None:
    assert system_rules.violations(VALUES) == []


def test_every_number_has_a_range() -> None:
    numbers = {name.removeprefix("system_") for name, value in DEFAULTS.items() if type(value) is int}
    assert numbers == set(system_rules.RANGES)


@pytest.mark.parametrize("name", system_rules.RANGES)
def test_a_number_out_of_its_range_is_named_with_what_is_allowed(name: str) -> None:
    least, most, unit = system_rules.RANGES[name]
    assert system_rules.violations(VALUES | {name: least}) == system_rules.violations(VALUES | {name: most}) == []
    for value in (least - 1, most + 1):
        found = system_rules.violations(VALUES | {name: value})
        assert found == [f"system_{name} is {value}; allowed are {least} to {most} {unit}."]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("time_servers", [], "is empty"),
        ("time_servers", ["time example"], "an address or a host name"),
        ("timezone", "../etc/passwd", "UTC"),
        ("locale", "C;reboot", "C.UTF-8"),
        ("instance_types_allowed", ["T3 medium"], "t3.*"),
        ("host_keys_path", "fleet/host-keys", "a path such as /fleet/host-keys"),
        ("host_keys_path", "/fleet/host-keys/", "a path such as /fleet/host-keys"),
        ("swap_path", "swapfile", "absolute path"),
        ("swap_path", "/a/../b", "absolute path"),
        ("kernel_settings", [{"name": "somaxconn", "value": "1", "reason": "x"}], "sysctl -a"),
        ("kernel_settings", [{"name": "net.core.somaxconn", "value": "1\n2", "reason": "x"}], "one line"),
        ("kernel_settings_extra", [{"name": "somaxconn", "value": "1", "reason": "x"}], "sysctl -a"),
        (
            "kernel_settings_extra",
            [{"name": "a.b", "value": "1", "reason": "x", "module": "a b"}],
            "name of a kernel module",
        ),
        ("releasever", "latest", "2023.6.20250128"),
        ("package_locks", [LOCK | {"version": "1.24.0"}], "[epoch:]version-release"),
        ("package_locks", [LOCK | {"version": "1.24.0-*"}], "[epoch:]version-release"),
        ("package_locks", [LOCK | {"name": "ngi nx"}], "the name of a package"),
        ("package_locks", [LOCK, LOCK], "nginx more than once"),
    ],
)
def test_a_value_of_the_wrong_form_is_named_with_what_is_allowed(name: str, value: Any, said: str) -> None:
    (found,) = system_rules.violations(VALUES | {name: value})
    assert found.startswith(f"system_{name} ")
    assert said in found


def test_only_amazon_linux_2023_has_releases_to_choose_from() -> None:
    chosen = VALUES | {"releasever": "2023.6.20250128"}
    assert system_rules.violations(chosen) == []
    (found,) = system_rules.violations(chosen | {"os_release": "2"})
    assert "on Amazon Linux 2 it must be empty" in found


def test_a_lock_that_the_host_does_not_follow_is_told() -> None:
    has = {"nginx": ["1:1.26.0-2.amzn2023"]}
    (told,) = system_rules.unmet_locks([LOCK], has)
    assert "locked at 1:1.24.0-1.amzn2023, but 1:1.26.0-2.amzn2023 is installed" in told
    met = {"nginx": ["1:1.24.0-1.amzn2023"]}
    assert system_rules.unmet_locks([LOCK], met) == system_rules.unmet_locks([LOCK], {}) == []
    no_epoch = {"nginx": ["1.24.0-1.amzn2023"]}
    assert system_rules.unmet_locks([LOCK | {"version": "1.24.0-1.amzn2023"}], no_epoch) == []


@pytest.mark.parametrize(
    ("active", "declared", "mib", "right"),
    [
        ([], [], 0, True),
        ([{"path": "/s", "mib": 64}], ["/s"], 64, True),
        ([{"path": "/s", "mib": 64}], ["/s"], 128, False),
        ([{"path": "/s", "mib": 64}], [], 64, False),
        ([], ["/s"], 0, False),
        ([{"path": "/dev/sdb", "mib": 64}], ["/dev/sdb"], 0, True),
    ],
)
def test_the_swap_file_is_compared_and_other_swap_is_left_alone(
    active: list[dict[str, Any]], declared: list[str], mib: int, right: bool
) -> None:
    assert system_rules.swap_is_right({"active": active, "declared": declared}, "/s", mib) is right
