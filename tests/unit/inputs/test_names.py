"""Names that begin like ours and are none of ours."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import fleet_rules, names

from tests.support.tree import ROOT, roles

SPECIFIED = fleet_rules.specification()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("hardening_levl", "hardening_level"),
        ("nginx_tls_prot", "nginx_tls_port"),
        ("fleet_min_sise", "fleet_min_size"),
        ("app_runtime_instance", "app_runtime_instances"),
        ("fleet_hardening_level", "hardening_level"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest_that_is_known(name: str, near: str) -> None:
    assert names.unknown([name], SPECIFIED) == [f"There is no variable {name} (did you mean {near}?)."]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("harderning_level", "hardening_level"),
        ("ngnix_tls_port", "nginx_tls_port"),
        ("flet_batch_size", "fleet_batch_size"),
        ("Fleet_OS", "fleet_os"),
        ("fleet-release-version", "fleet_release_version"),
        ("fl\u0435et_min_size", "fleet_min_size"),
    ],
)
def test_a_name_whose_beginning_is_misspelt_is_refused_as_well(name: str, near: str) -> None:
    (sentence,) = names.unknown([name], SPECIFIED)
    assert f"There is no variable {name} (did you mean {near}?)" in sentence and "fleet_own_variables" in sentence
    assert names.unknown([name], SPECIFIED, [name]) == []


def test_names_that_are_equally_near_are_all_told() -> None:
    assert (
        names.suggestion("us-esat-1", ["us-east-1", "us-west-1", "eu-north-1"])
        == " (did you mean us-east-1 or us-west-1?)"
    )


def test_a_name_that_is_near_to_none_is_refused_with_what_to_do_about_it() -> None:
    (sentence,) = names.unknown(["system_owner"], SPECIFIED)
    assert "There is no variable system_owner; name" in sentence
    assert "fleet_own_variables" in sentence


def test_a_variable_of_the_users_own_is_let_pass_by_its_name() -> None:
    assert names.unknown(["system_owner", "system_ownr"], SPECIFIED, ["system_owner"]) == names.unknown(
        ["system_ownr"], SPECIFIED
    )


@pytest.mark.parametrize(
    "name",
    [
        "ansible_user",
        "tags",
        "__nginx_packages",
        "nginxports",
        "fleetwide",
        "image_id",
        "images",
        "app_name",
        "inspect_me",
        "fleets_home",
        "system",
    ],
)
def test_a_name_that_does_not_begin_like_ours_is_nobodys_concern(name: str) -> None:
    assert names.unknown([name], SPECIFIED) == []


@pytest.mark.parametrize("role", roles())
def test_all_that_a_role_takes_exports_and_keeps_is_known(role: str) -> None:
    folder = ROOT / "roles" / role
    files = [file for part in ("defaults", "vars") for file in folder.glob(f"{part}/**/*.yml")]
    own = {name for file in files for name in yaml.safe_load(file.read_text())}
    specs = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert names.unknown(own | set(specs), SPECIFIED) == []


def test_what_playbooks_pass_to_each_other_is_known() -> None:
    assert names.unknown(["fleet_current_release", "fleet_plan", "fleet_checked", "fleet_host"], SPECIFIED) == []
