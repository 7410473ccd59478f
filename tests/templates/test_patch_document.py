"""The patch document is composed of its template and its script, by the playbook's own expression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.support.templating import trust_as_template

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    plays = yaml.safe_load((ROOT / "playbooks/patch.yml").read_text())
    tasks = next(play["tasks"] for play in plays if "tasks" in play)
    (expression,) = [
        task["ecommerce.fleet.ssm_document"]["content"] for task in tasks if "ecommerce.fleet.ssm_document" in task
    ]
    loader = DataLoader()
    loader.set_basedir(str(ROOT / "playbooks"))
    content = Templar(loader=loader, variables={"playbook_dir": str(ROOT / "playbooks")}).template(
        trust_as_template(expression)
    )
    return dict(yaml.safe_load(content))


def test_the_document_runs_the_script_as_it_is_in_its_file(document: dict[str, Any]) -> None:
    (step,) = document["mainSteps"]
    assert step["inputs"]["runCommand"] == [(ROOT / "ssm/scripts/patch.sh").read_text()]


def test_the_rest_of_the_document_is_as_in_its_file(document: dict[str, Any]) -> None:
    template = yaml.safe_load((ROOT / "ssm/patch.yml").read_text())
    template["mainSteps"][0]["inputs"]["runCommand"] = document["mainSteps"][0]["inputs"]["runCommand"]
    assert document == template


def test_the_script_uses_every_parameter_of_the_document_and_no_other(document: dict[str, Any]) -> None:
    script = document["mainSteps"][0]["inputs"]["runCommand"][0]
    used = {part.partition("}}")[0].strip() for part in script.split("{{")[1:]}
    assert used == set(document["parameters"])
