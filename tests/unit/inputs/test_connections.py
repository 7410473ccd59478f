"""The inventories share one definition of how a host is reached."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import fleet_rules

from tests.support.tree import ROOT

INSTANCE = "i-0123456789abcdef0"
FROM_EC2 = {
    "instance_id": INSTANCE,
    "placement": {"region": "eu-west-1", "availability_zone": "eu-west-1a"},
}
BAKED = {"ansible_host": "10.0.32.9", "ansible_user": "ec2-user"}
"""As Packer's inventory has it."""


class Variables:
    """Of an environment's hosts."""

    def __init__(self, folder: Path, environment: str, **own: Any) -> None:
        shutil.copytree(ROOT / f"inventory/{environment}/group_vars", folder / "group_vars", symlinks=False)
        (folder / "group_vars/all/90-own.yml").write_text(yaml.safe_dump(own))
        hosts = {"all": {"hosts": {INSTANCE: FROM_EC2, "bake": BAKED}}}
        (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
        self.loader = DataLoader()
        self.inventory = InventoryManager(self.loader, sources=[str(folder / "hosts.yml")])
        self.manager = VariableManager(self.loader, self.inventory)

    def of(self, host: str, name: str) -> Any:
        known = self.manager.get_vars(host=self.inventory.get_host(host), include_hostvars=False)
        return Templar(self.loader, variables=known).template(known[name])


@pytest.mark.parametrize("environment", ["prod", "staging", "dr"])
def test_an_environment_on_aws_is_reached_through_session_manager_in_its_own_region(
    tmp_path: Path, environment: str
) -> None:
    variables = Variables(tmp_path, environment)
    assert variables.of(INSTANCE, "ansible_connection") == "ecommerce.fleet.session_manager_ssh"
    assert variables.of(INSTANCE, "ansible_session_manager_region") == "eu-west-1", "the host's own, not the fleet's"
    assert variables.of(INSTANCE, "ansible_session_manager_host_key_checking") == "published"


def test_the_lab_is_as_production_but_for_one_line(tmp_path: Path) -> None:
    expected = {"ssh": "ssh", "session_manager_ssh": "ecommerce.fleet.session_manager_ssh"}
    for folder, own in (("as-is", {}), ("switched", {"fleet_connection": "session_manager_ssh"})):
        (tmp_path / folder).mkdir()
        variables = Variables(tmp_path / folder, "lab", **own)
        assert variables.of(INSTANCE, "ansible_connection") == expected[variables.of(INSTANCE, "fleet_connection")]


def test_plain_ssh_is_ansibles_own(tmp_path: Path) -> None:
    assert Variables(tmp_path, "prod", fleet_connection="ssh").of(INSTANCE, "ansible_connection") == "ssh"


def test_aws_ssm_never_starts_a_command_again_gives_it_half_an_hour_and_encrypts_its_files(tmp_path: Path) -> None:
    variables = Variables(tmp_path, "dr", fleet_connection="aws_ssm")
    found = {
        name: variables.of(INSTANCE, f"ansible_aws_ssm_{name}")
        for name in ("instance_id", "retries", "timeout", "bucket_sse_mode", "bucket_name", "region")
    }
    assert found == {
        "instance_id": INSTANCE, "retries": 0, "timeout": 1800, "bucket_sse_mode": "aws:kms", "region": "eu-west-1",
        "bucket_name": "fleet-session-manager-111111111111-us-west-2",
    }  # fmt: skip
    assert variables.of(INSTANCE, "ansible_connection") == "community.aws.aws_ssm"


@pytest.mark.parametrize("environment", ["prod", "lab"])
def test_an_image_that_is_being_baked_is_reached_at_packers_address(tmp_path: Path, environment: str) -> None:
    variables = Variables(tmp_path, environment)
    assert (variables.of("bake", "ansible_connection"), variables.of("bake", "ansible_host")) == ("ssh", "10.0.32.9")


def test_a_misspelt_connection_is_refused_with_the_nearest() -> None:
    found = fleet_rules.violations(frozenset(), {"fleet_connection": "sesion_manager_ssh"}, frozenset())
    assert found == [
        "value of fleet_connection must be one of: session_manager_ssh, aws_ssm, ssh, got: sesion_manager_ssh (did you mean "
        "session_manager_ssh?)."
    ]


@pytest.mark.parametrize("environment", ["prod", "staging", "dr", "lab"])
def test_a_hosts_address_is_no_template_which_reset_connection_does_not_evaluate(environment: str) -> None:
    source = yaml.safe_load((ROOT / f"inventory/{environment}/aws_ec2.yml").read_text())
    assert source["compose"]["ansible_host"] == "private_ip_address"
    assert "\nansible_host:" not in (ROOT / "inventory/shared.yml").read_text()
