"""What a role exports is known in plays that don't run the role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.ecommerce.fleet.plugins.lookup.role_variable import LookupModule

ROOT = Path(__file__).resolve().parents[2]


def look_up(name: str, **variables: Any) -> Any:
    (value,) = LookupModule(loader=DataLoader()).run([name], variables)
    return value


def test_the_roles_defaults_make_the_value() -> None:
    assert look_up("nginx_in_use") == {"ports": [80], "services": ["nginx"]}


def test_the_inventory_overrides_the_defaults() -> None:
    assert look_up("nginx_in_use", nginx_port=8080, nginx_tls_port=8443)["ports"] == [8080, 8443]


def test_the_roles_own_variables_are_stronger_than_the_inventorys() -> None:
    assert look_up("ssm_agent_in_use", ssm_agent_in_use={"services": []}) == {"services": ["amazon-ssm-agent"]}


def test_a_role_that_is_not_used_relies_on_nothing() -> None:
    assert look_up("proxysql_in_use") == {}
    assert look_up("proxysql_in_use", proxysql_servers=[{"address": "db"}])["services"] == ["proxysql"]


@pytest.mark.parametrize("name", ["nginx_nonsense", "nonsense"])
def test_a_name_that_no_role_has_is_refused(name: str) -> None:
    with pytest.raises(AnsibleLookupError, match=f"no role of ecommerce.fleet has a variable {name}"):
        look_up(name)


def test_every_role_that_relies_on_something_is_asked() -> None:
    """One list composes what is in use, for site, audit, bake and publish_image."""
    files = ROOT.glob("roles/*/vars/**/main.yml")
    declared = {name for file in files for name in yaml.safe_load(file.read_text()) if name.endswith("_in_use")}
    listed = yaml.safe_load((ROOT / "playbooks/vars/in_use.yml").read_text())["fleet_roles_in_use"]
    assert declared == {f"{role}_in_use" for role in listed}
