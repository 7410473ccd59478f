"""Whatever the role app_runtime runs can be published and baked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import fleet_rules

from tests.support.templating import trust_as_template

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = yaml.safe_load((ROOT / "roles/app_runtime/meta/argument_specs.yml").read_text())["argument_specs"]["main"][
    "options"
]
KINDS = OPTIONS["app_runtime_kind"]["choices"]
SHA256 = "0" * 64


def holds(condition: str, **variables: Any) -> bool:
    templar = Templar(loader=DataLoader(), variables=variables)
    return bool(templar.template(trust_as_template("{{ " + condition + " }}")))


def accepted(**given: str) -> bool:
    """Whether publish_release takes the variables."""
    return fleet_rules.violations(frozenset(), given, frozenset()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_the_role_can_be_published(kind: str) -> None:
    assert accepted(fleet_release_kind=kind)


def test_another_kind_is_refused() -> None:
    assert not accepted(fleet_release_kind="perl")


def test_a_runtime_is_published_with_its_checksum_or_not_at_all() -> None:
    assert accepted(fleet_release_runtime_file="node.tar.xz", fleet_release_runtime_sha256=SHA256)
    assert not accepted(fleet_release_runtime_file="node.tar.xz")
    assert not accepted(fleet_release_runtime_sha256=SHA256)
    assert not accepted(fleet_release_runtime_file="node.tar.xz", fleet_release_runtime_sha256="abc")


@pytest.mark.parametrize("inventory", [{}, {"app_runtime_runtime": "{{ fleet_release.runtime | default({}) }}"}])
def test_a_release_without_the_runtime_that_its_system_needs_is_refused_before_a_host_is_drained(
    inventory: dict[str, str],
) -> None:
    (task,) = yaml.safe_load((ROOT / "playbooks/tasks/check_runtime.yml").read_text())
    condition = task["ansible.builtin.assert"]["that"]
    trusted = {name: trust_as_template(text) for name, text in inventory.items()}
    runtime = {"url": "s3://x/node.tar.xz", "sha256": SHA256}
    for system, kind, brings, expected in (
        ("al2", "nodejs", {}, False),
        ("al2", "nodejs", {"runtime": runtime}, True),
        ("al2", "python", {}, True),
        ("al2023", "nodejs", {}, True),
    ):
        assert holds(condition, fleet_os=system, fleet_release={"kind": kind, **brings}, **trusted) is expected
    own = {"fleet_os": "al2", "fleet_release": {"kind": "nodejs"}, "app_runtime_runtime": runtime}
    assert holds(condition, **own), "an inventory may name it itself"


def test_packer_takes_the_kinds_of_the_role_and_no_other() -> None:
    template = (ROOT / "packer/variables.pkr.hcl").read_text()
    (listed,) = re.findall(r"contains\(\[([^]]*)\], var\.artifact_kind\)", template)
    assert [kind.strip(' "') for kind in listed.split(",")] == KINDS
