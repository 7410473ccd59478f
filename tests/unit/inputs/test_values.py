"""Values against their specification: one sentence for each that is wrong, with the value and what is allowed."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import role_inputs, values

OPTIONS: dict[str, dict[str, Any]] = {
    "shop_port": {"type": "int", "minimum": 1, "maximum": 65535},
    "shop_hosts": {"type": "list", "elements": "str"},
    "shop_uses": {"type": "dict", "options": {"ports": {"type": "list", "elements": "int"}}},
    "shop_mode": {"type": "str", "choices": ["fast", "safe"]},
    "shop_version": {"type": "str", "pattern": "[0-9.]+", "form": "digits and dots"},
    "shop_zone": {"type": "str"},
    "shop_count": {"type": "int", "minimum": 0},
    "shop_rate": {"type": "float"},
    "shop_routes": {"type": "list", "elements": "dict", "options": {"path": {"type": "str"}}},
}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("shop_port", "eighty", "shop_port is 'eighty'; allowed: int."),
        ("shop_port", 0, "shop_port is 0; allowed: 1 to 65535."),
        ("shop_count", "-1", "shop_count is -1; allowed: 0 or more."),
        ("shop_hosts", "a,b", "shop_hosts is 'a,b'; allowed: a list."),
        ("shop_hosts", {"password": "x"}, "shop_hosts is a dictionary; allowed: a list."),
        ("shop_uses", "ports=1", "shop_uses is 'ports=1'; allowed: a dictionary."),
        (
            "shop_uses",
            {"port": [9100]},
            "shop_uses has no key 'port' (did you mean ports?); it has ports.",
        ),
        ("shop_mode", "slow", "value of shop_mode must be one of: fast, safe, got: slow."),
        ("shop_version", "x", "shop_version is 'x'; allowed: digits and dots."),
        ("shop_version", 1.1, "shop_version is the number 1.1; write it in quotes."),
        ("shop_zone", ["a"], "shop_zone is a list; allowed: str."),
        # What Python reads as a number, and a program's configuration file does not.
        ("shop_count", "1_000", "shop_count is '1_000'; allowed: int."),
        ("shop_count", " 5 ", "shop_count is ' 5 '; allowed: int."),
        ("shop_count", "\uff15", "shop_count is '\uff15'; allowed: int."),
        ("shop_rate", "1_0.5", "shop_rate is '1_0.5'; allowed: float."),
        ("shop_rate", math.nan, "shop_rate is nan; allowed: float."),
        ("shop_rate", "inf", "shop_rate is 'inf'; allowed: float."),
        ("shop_count", 10**30, f"shop_count is {10**30}; allowed: a number of at most 2147483647."),
        # What YAML reads as neither a text nor a number.
        (
            "shop_version",
            datetime.date(2026, 11, 30),
            "shop_version is 2026-11-30, which YAML reads as a date; write it in quotes.",
        ),
        ("shop_zone", b"a", "shop_zone is b'a', which YAML reads as a bytes; write it in quotes."),
        ("shop_hosts", ["a", {"b": "c"}], "shop_hosts[1] is a dictionary; it takes a text."),
        ("shop_routes", [{"path": ["/"]}], "shop_routes[0].path is a list; it takes a text."),
        (
            "shop_hosts",
            [datetime.date(2026, 11, 30)],
            'shop_hosts[0] is the date 2026-11-30; a text needs quotes, such as "2026-11-30".',
        ),
        (
            "shop_uses",
            {True: [80]},
            "shop_uses has the key True, which YAML does not read as a text; it has ports.",
        ),
        (
            "shop_routes",
            [{"path": "/"}, {80: "/"}],
            "shop_routes[1] has the key 80, which YAML does not read as a text; it has path.",
        ),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_what_is(name: str, value: Any, sentence: str) -> None:
    assert values.violations(OPTIONS, {name: value}) == [sentence]


def test_values_that_are_allowed_are_no_violation() -> None:
    given = {
        "shop_port": "80",
        "shop_hosts": ["a"],
        "shop_uses": {"ports": [1]},
        "shop_mode": "fast",
        "shop_version": "1.10",
    }
    assert values.violations(OPTIONS, given) == []


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("shop_zone", None, "shop_zone is empty (null in YAML)"),
        ("shop_zone", False, "shop_zone is false"),
        ("shop_zone", 1.1, "shop_zone is the number 1.1"),
        ("shop_port", True, "shop_port is true"),
        ("shop_hosts", ["a", False], "shop_hosts[1] is false"),
        ("shop_uses", {"ports": [True]}, "shop_uses.ports[0] is true"),
    ],
)
def test_what_yaml_reads_otherwise_than_it_was_meant_is_refused(name: str, value: Any, part: str) -> None:
    (sentence,) = values.violations(OPTIONS, {name: value})
    assert sentence.startswith(part)


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(values.violations(OPTIONS, {"shop_port": "eighty", "shop_mode": "slow", "shop_hosts": "a"})) == 3


def test_what_may_hold_a_secret_is_not_repeated() -> None:
    (sentence,) = role_inputs.role_violations(
        "admin_access", {"admin_access_users": {"totp_secret": "GEZDGNBV"}}, "2023"
    )
    assert "GEZDGNBV" not in sentence
