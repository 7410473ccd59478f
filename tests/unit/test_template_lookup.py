"""Files of many variables are rendered as Ansible renders them, without a copy of the variables for each."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.support.templating import TRUSTED, trust_as_template

TEXT = "{% for port in ports %}{% set last = port %}listen {{ port }} {{ name }};\n{% endfor %}{{ options.a }} é\n"


def rendered(lookup: str, folder: Path, variables: dict[str, Any], **options: str) -> str:
    templar = Templar(loader=DataLoader(), variables={**variables, "ansible_search_path": [str(folder)]})
    words = "".join(f", {name}='{value}'" for name, value in options.items())
    return str(templar.template(trust_as_template("{{ lookup('" + lookup + "', 'x.j2'" + words + ") }}")))


@pytest.mark.parametrize("options", [{}, {"variable_start_string": "[[", "variable_end_string": "]]"}])
def test_the_text_is_that_of_the_lookup_of_ansible_and_the_variables_stay(
    tmp_path: Path, options: dict[str, str]
) -> None:
    (tmp_path / "x.j2").write_text(TEXT.replace("{{", "[[").replace("}}", "]]") if options else TEXT)
    variables = {"ports": [80, 443], "name": trust_as_template("{{ options.a ~ '-b' }}"), "options": {"a": "shop"}}
    before = copy.deepcopy(variables)
    found = rendered("ecommerce.fleet.template", tmp_path, variables, **options)
    assert found == rendered("ansible.builtin.template", tmp_path, variables, **options)
    assert found == "listen 80 shop-b;\nlisten 443 shop-b;\nshop é\n"
    assert variables == before


@pytest.mark.skipif(bool(TRUSTED), reason="ansible-core 2.19 and newer copy")
def test_no_variable_is_copied(tmp_path: Path) -> None:
    class Fact(dict[str, str]):
        def __deepcopy__(self, _memo: object) -> Fact:
            raise AssertionError("copied")

    (tmp_path / "x.j2").write_text("{{ name }}")
    assert rendered("ecommerce.fleet.template", tmp_path, {"name": "shop", "fact": Fact(a="b")}) == "shop"
