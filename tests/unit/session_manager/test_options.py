"""The connection plugin has every option of Ansible's ssh, as this ansible-core documents it."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible import constants
from ansible.playbook.play_context import PlayContext
from ansible.plugins.connection import ssh
from ansible.plugins.loader import connection_loader

OURS = "ecommerce.fleet.session_manager_ssh"
OPTIONS = yaml.safe_load(ssh.DOCUMENTATION)["options"]


def defined(name: str) -> dict[str, dict[str, object]]:
    made = connection_loader.get(name, PlayContext(), os.devnull)
    found: dict[str, dict[str, object]] = constants.config.get_configuration_definitions("connection", made._load_name)
    return found


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"host_key_checking"}))
def test_an_option_of_ssh_is_read_from_the_same_variables_and_settings(name: str) -> None:
    def places(option: dict[str, object], kind: str) -> list[str]:
        entries: list[dict[str, str]] = option.get(kind, [])  # type: ignore[assignment]
        return [entry.get("name") or f"{entry['section']}.{entry['key']}" for entry in entries or []]

    ours, theirs = defined(OURS)[name], defined("ansible.builtin.ssh")[name]
    assert [places(ours, kind) for kind in ("vars", "env", "ini")] == [
        places(theirs, kind) for kind in ("vars", "env", "ini")
    ]
    assert ours.get("default") == theirs.get("default")


def test_ansibles_switch_for_host_keys_is_none_of_its_options() -> None:
    option = defined(OURS)["host_key_checking"]
    assert [entry["name"] for entry in option["vars"]] == ["ansible_session_manager_host_key_checking"]  # type: ignore[attr-defined]
    assert [entry["name"] for entry in option["env"]] == ["ANSIBLE_SESSION_MANAGER_HOST_KEY_CHECKING"]  # type: ignore[attr-defined]
