"""Templates over a host's variables before anything is known of it: values, what comes later, and what never can be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import fleet_rules
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs.evaluation import Evaluation, trusted

PASSWORD = VaultSecret(b"of the vault")


def values(**variables: str) -> tuple[dict[str, Any], set[str], list[str]]:
    return Evaluation(DataLoader(), {name: trusted(text) for name, text in variables.items()}).values(variables)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'x' | from_json }}", "Expecting value"),
        ("{{ unclosed", "unexpected end of template"),
        ("{{ 'a' + 1 }}", "can only concatenate"),
        ("{{ shop_size }}", "it refers to itself"),
        ("{{ lookup('ansible.builtin.file', '/not/there') }}", "/not/there"),
    ],
)
def test_a_template_that_fails_in_any_way_is_told_by_the_variables_name_on_one_short_line(
    template: str, reason: str
) -> None:
    known, later, violations = values(shop_size=template)
    assert (known, later, len(violations)) == ({}, set(), 1)
    assert violations[0].startswith("shop_size can't be evaluated: ") and reason in violations[0]
    assert len(violations[0]) < 400 and "\n" not in violations[0]


def test_a_condition_that_fails_leaves_nothing_unchecked() -> None:
    assert Evaluation(DataLoader(), {}).is_true(["1 / 0 > 1"])


def encrypted(text: str) -> str:
    lines = VaultLib([("default", PASSWORD)]).encrypt(text, PASSWORD).decode().splitlines()
    return "!vault |\n" + "\n".join(f"    {line}" for line in lines)


def load(text: str, *, password: bool = True) -> tuple[DataLoader, dict[str, Any]]:
    loader = DataLoader()
    loader.set_vault_secrets([("default", PASSWORD)] if password else [("default", VaultSecret(b"another"))])
    return loader, loader.load(text)


def test_an_encrypted_value_is_checked_as_the_text_that_it_is() -> None:
    loader, given = load(
        f"fleet_account_id: {encrypted('123456789012')}\nfleet_min_size: {encrypted('2')}\n"
        f"fleet_tags:\n  Team: {encrypted('shop')}\n"
    )
    known, _later, violations = Evaluation(loader, given).values(given)
    assert known == {"fleet_account_id": "123456789012", "fleet_min_size": "2", "fleet_tags": {"Team": "shop"}}
    assert violations == fleet_rules.violations(frozenset(), known, frozenset()) == []


def test_an_encrypted_value_without_its_password_is_told_by_its_name() -> None:
    loader, given = load(f"fleet_account_id: {encrypted('123456789012')}\n", password=False)
    known, _later, violations = Evaluation(loader, given).values(given)
    assert known == {} and violations[0].startswith("fleet_account_id can't be evaluated: ")
