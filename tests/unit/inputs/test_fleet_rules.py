"""The variables fleet_*: what is missing, what is wrong, what does not fit together."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs.fleet_rules import violations

REGIONS = frozenset({"us-east-1", "us-west-2"})


def found(*used: str, **given: Any) -> list[str]:
    return violations(frozenset(used), given, REGIONS)


def test_a_variable_that_the_playbook_needs_is_missing_with_an_example() -> None:
    assert found("fleet_release_version") == [
        "fleet_release_version is missing: Release to publish or to roll. Set it in the inventory or with -e fleet_release_version=2.4.1."
    ]


def test_a_variable_that_the_playbook_does_not_use_may_be_missing() -> None:
    assert found("fleet_region", fleet_region="us-east-1") == []


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"fleet_os": "amazonlinux2"}, "al2, al2023"),
        ({"fleet_account_id": "1234"}, "12 digits"),
        ({"fleet_account_id": 0}, "in quotes"),
        ({"fleet_name": "a" * 33}, "32 at most"),
        ({"fleet_min_size": 4, "fleet_desired_size": 3, "fleet_max_size": 6}, "at most fleet_desired_size, which is 3"),
        ({"fleet_desired_size": 7, "fleet_max_size": "6"}, "at most fleet_max_size, which is 6"),
        ({"fleet_health_check_timeout_seconds": 10, "fleet_health_check_interval_seconds": 10}, "less than"),
        ({"fleet_patch_operation": "install"}, "Install, Scan"),
        ({"fleet_reboot_option": "Never"}, "RebootIfNeeded, NoReboot"),
        ({"fleet_patch_release": "2023.9"}, "latest, or a release"),
        ({"fleet_patch_release": ""}, "latest, or a release"),
        ({"fleet_patch_release": "latest\n"}, "latest, or a release"),
        ({"fleet_os": "al2", "fleet_patch_release": "2023.9.20260105"}, "Amazon Linux 2 has no others"),
        ({"fleet_min_size": True}, "it takes a number"),
        ({"fleet_team": False}, "a text needs quotes"),
        ({"fleet_region": "us-esat-1"}, "did you mean us-east-1?"),
        ({"fleet_load_balancer_networks": ["10.0.0.1/16"]}, "networks such as 10.0.0.0/16"),
        ({"fleet_tags": {"aws:team": "x"}}, "don't begin with aws:"),
        ({"fleet_tags": {"Team": "x" * 257}}, "at most 256"),
        ({"fleet_tags": {"Cost-Center": 42}}, "a number in quotes"),
        ({"fleet_tags": {"Team": "web & shop"}}, "with '&'; allowed in a tag: letters"),
        ({"fleet_tags": {"Te\tam": "shop"}}, "allowed in a tag: letters"),
        ({"fleet_region": 1}, "fleet_region is '1', which is no AWS region"),
        ({"fleet_in_use": {80: []}}, "has the key 80"),
        ({"fleet_release": {"version": "1", "kind": "perl", "url": "u", "sha256": "s"}}, "nodejs, python, java"),
        ({"fleet_release": {"version": "1"}}, "missing required arguments: kind, sha256, url"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(given: dict[str, Any], part: str) -> None:
    (sentence,) = found(**given)
    assert part in sentence
    assert any(name in sentence for name in given)


def test_what_fits_together_is_looked_at_although_another_value_is_wrong() -> None:
    assert len(found(fleet_os="x", fleet_min_size=3, fleet_desired_size=2)) == 2


def test_without_an_aws_library_every_region_is_let_pass() -> None:
    assert violations(frozenset(), {"fleet_region": "xx-new-1"}, frozenset()) == []
