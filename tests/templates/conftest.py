"""Renders a role's templates with its own defaults and variables, as Ansible does on a host of one release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.16 has no such distinction

    def trust_as_template(value: str) -> str:
        return value


ROLES = Path(__file__).resolve().parents[2] / "roles"
Render = Callable[..., str]


@pytest.fixture
def render() -> Render:
    """`render(role, template, release, **variables)` returns the text."""

    def rendered(role: str, template: str, release: str = "2023", **variables: Any) -> str:
        loader = DataLoader()
        loader.set_basedir(str(ROLES / role))
        known: dict[str, Any] = {}
        for name in ("defaults/main.yml", "vars/main.yml", f"vars/amazon-{release}.yml"):
            if (ROLES / role / name).exists():
                known.update(loader.load_from_file(str(ROLES / role / name)) or {})
        known.update(variables)
        known["ansible_search_path"] = [str(ROLES / role)]
        known["inventory_hostname"] = "web-1"
        known.setdefault("ansible_facts", {})
        text = trust_as_template("{{ lookup('ansible.builtin.template', '" + template + "') }}")
        result = Templar(loader=loader, variables=known).template(text)
        assert isinstance(result, str)
        return result

    return rendered
