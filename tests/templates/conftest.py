"""Renders a role's templates with its own defaults and variables, as Ansible does on a host of one release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.support.browser import Browser, browser
from tests.support.templating import TRUSTED, trust_as_template

ROLES = Path(__file__).resolve().parents[2] / "roles"
Render = Callable[..., str]


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def render() -> Render:
    """`render(role, template, release, **variables)` returns the text."""

    def rendered(role: str, template: str, release: str = "2023", **variables: Any) -> str:
        loader = DataLoader()
        loader.set_basedir(str(ROLES / role))
        known: dict[str, Any] = {}
        for file in (ROLES / role / "defaults/main.yml", *sorted((ROLES / role / "vars").rglob("*.yml"))):
            known.update(loader.load_from_file(str(file), **TRUSTED) or {})
        known.update(variables)
        known["ansible_search_path"] = [str(ROLES / role)]
        known["inventory_hostname"] = "web-1"
        known["ansible_facts"] = {"distribution_version": release, **known.get("ansible_facts", {})}
        text = trust_as_template("{{ lookup('ecommerce.fleet.template', '" + template + "') }}")
        result = Templar(loader=loader, variables=known).template(text)
        assert isinstance(result, str)
        return result

    return rendered
