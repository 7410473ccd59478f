"""Roles' values as they are before AWS was asked for anything."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import evaluation, playbook, role_inputs

from tests.support.tree import ROOT


@pytest.mark.parametrize("system", ["al2", "al2023"])
def test_a_release_that_is_not_read_yet_is_no_violation_on_any_system(system: str) -> None:
    loader = DataLoader()
    shared = evaluation.load_yaml(loader, ROOT / "inventory/shared.yml")
    host = {"inventory_hostname": "i-1", "fleet_environment": "test", "fleet_account_id": "123456789012"}
    variables = {**shared, **host, "fleet_os": system}
    read = playbook.read("site", lambda file: evaluation.load_yaml(loader, file))
    assert role_inputs.violations(read, loader, variables, {"fleet_os": system}) == []
    (sentence,) = role_inputs.violations(read, loader, {**variables, "nginx_port": "eighty"}, {"fleet_os": system})
    assert sentence.startswith("nginx_port is 'eighty'")
