"""What a playbook uses is read from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import playbook


def load(file: str) -> Any:
    return yaml.safe_load(Path(file).read_text())


def read(name: str) -> playbook.Playbook:
    return playbook.read(name, load)


def test_the_roles_of_site_are_known_with_their_conditions_and_what_they_are_passed() -> None:
    uses = {use.role: use for use in read("site").roles}
    assert {"system", "nginx", "hardening", "cloudwatch_agent"} <= set(uses)
    assert uses["proxysql"].when == ("proxysql_servers | length > 0",)
    assert "nginx_upstreams" in uses["nginx"].variables


def test_a_bake_uses_the_roles_of_site_with_what_it_passes_on_and_its_own() -> None:
    uses = {use.role: use for use in read("bake").roles}
    assert uses["cloudwatch_agent"].variables["cloudwatch_agent_state"] == "stopped"
    assert "image_finish_aide" in uses["image_finish"].variables


def test_of_a_role_that_does_not_run_only_what_is_read_is_used() -> None:
    uses = {use.role: use.only for use in read("publish_image").roles}
    assert "hardening_level" in uses["hardening"]
    assert uses["app_runtime"] == ("app_runtime_name", "app_runtime_version_path")


def test_variables_in_included_files_are_used_by_the_playbook() -> None:
    assert {"fleet_batch_size", "fleet_force", "fleet_account_id"} <= playbook.used("roll")
    assert "fleet_batch_size" not in playbook.used("fleet")


@pytest.mark.parametrize(
    ("name", "limit", "tags", "skipped", "part"),
    [
        ("site", None, ["ngnix"], [], "--tags ngnix: ecommerce.fleet.site has no such tag (did you mean nginx?)"),
        ("site", None, ["always"], [], "--tags always"),
        ("site", None, ["untagged"], [], "--tags untagged"),
        ("site", None, ["all"], ["hardning"], "--skip-tags hardning"),
        ("roll", None, ["app_runtime"], [], "it has none and runs as a whole"),
        ("audit", None, ["hardening"], [], "it has none and runs as a whole"),
        ("roll", "az_us_east_1a", ["all"], [], "--limit az_us_east_1a: ecommerce.fleet.roll works on the whole fleet"),
        ("patch", "i-1", ["all"], [], "without --limit"),
        ("fleet", "web", ["all"], [], "without --limit"),
        ("publish_release", "web", ["all"], [], "without --limit"),
        ("publish_image", "web", ["all"], [], "without --limit"),
    ],
)
def test_words_that_would_run_less_than_asked_for_are_refused(
    name: str, limit: str | None, tags: list[str], skipped: list[str], part: str
) -> None:
    (sentence,) = read(name).command_violations(limit, tags, skipped)
    assert part in sentence


@pytest.mark.parametrize(
    ("name", "limit", "tags", "skipped"),
    [
        ("site", None, ["all"], []),
        ("site", "az_us_east_1a", ["nginx", "system"], []),
        ("site", None, ["tagged"], ["hardening"]),
        ("audit", "i-1", ["all"], []),
        ("bake", None, ["image_finish"], []),
        ("roll", None, ["all"], []),
        ("context", "i-1", ["shop"], ["mail"]),
    ],
)
def test_a_part_that_can_be_chosen_is_let_pass(
    name: str, limit: str | None, tags: list[str], skipped: list[str]
) -> None:
    assert read(name).command_violations(limit, tags, skipped) == []
