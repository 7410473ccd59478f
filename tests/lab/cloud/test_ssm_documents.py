"""What CreateDocument takes and refuses, and how parameters meet a document."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cloud.ssm.documents import (
    RUN_SHELL_SCRIPT,
    DocumentError,
    ParameterError,
    execution_seconds,
    parse,
    platforms,
    resolve_parameters,
    steps_of,
    validate,
)

ROOT = Path(__file__).resolve().parents[3]

GOOD: dict[str, Any] = {
    "schemaVersion": "2.2",
    "parameters": {
        "Word": {"type": "String", "default": "a", "allowedValues": ["a", "b"]},
        "Count": {"type": "Integer", "default": 1},
        "Lines": {"type": "StringList", "minItems": 1, "default": ["x"]},
        "Path": {"type": "String", "allowedPattern": "/[a-z/]*"},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "One",
            "precondition": {"StringEquals": ["platformType", "Linux"]},
            "inputs": {"runCommand": ["true"], "timeoutSeconds": "10", "onFailure": "exit"},
        },
        {"action": "aws:runShellScript", "name": "Two", "inputs": {"runCommand": ["true"], "finallyStep": True}},
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with the value at a dotted path replaced, or removed where the value is None."""
    document = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    place: Any = document
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


def test_a_good_document_is_accepted() -> None:
    validate(GOOD)
    assert [step.name for step in steps_of(GOOD)] == ["One", "Two"]
    assert platforms(GOOD) == ["Linux"]


def test_the_documents_of_the_project_are_accepted() -> None:
    for path in sorted((ROOT / "ssm").glob("*.yml")):
        document = parse(path.read_text(), "YAML")
        validate(document)
        assert "Linux" in platforms(document)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schemaVersion", "0.3", "schemaVersion"),
        ("schemaVersion", 2.2, "schemaVersion"),
        ("mainSteps", [], "mainSteps"),
        ("mainSteps.0.action", "aws:runThings", "unknown action"),
        ("mainSteps.0.name", "two words", "Step name"),
        ("mainSteps.1.name", "One", "not unique"),
        ("mainSteps.0.inputs", {}, "runCommand"),
        ("mainSteps.0.isEnd", True, "isEnd"),
        ("mainSteps.0.inputs.onFailure", "abort", "onFailure"),
        ("mainSteps.0.inputs.finallyStep", True, "last step"),
        ("mainSteps.0.precondition", {"StringLike": ["a", "b"]}, "precondition"),
        ("mainSteps.0.inputs.runCommand", ["echo {{ ssm:/a/b }}"], "does not resolve"),
        ("parameters.Word.type", "Text", "type"),
        ("parameters.Word.default", "c", "default"),
        ("parameters.Word.allowedPattern", "(", "allowedPattern"),
        ("assumeRole", "x", "assumeRole"),
    ],
)
def test_a_broken_document_is_refused_with_the_reason(path: str, value: Any, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        validate(changed(path, value))


@pytest.mark.parametrize(("content", "form"), [("{", "JSON"), ("a: [", "YAML"), ("[]", "JSON"), ("x" * 70000, "YAML")])
def test_content_that_is_no_document_is_refused(content: str, form: str) -> None:
    with pytest.raises(DocumentError):
        parse(content, form)


def test_yaml_and_json_mean_the_same() -> None:
    assert parse(yaml.safe_dump(GOOD), "YAML") == GOOD


def test_parameters_have_the_type_that_the_document_says() -> None:
    given = {"Count": ["5"], "Lines": ["a", "b"], "Path": ["/x"]}
    assert resolve_parameters(GOOD, given) == {"Word": "a", "Count": 5, "Lines": ["a", "b"], "Path": "/x"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Path is required"),
        ({"Path": ["/x"], "Other": ["1"]}, "Other is not defined"),
        ({"Path": ["/X"]}, "allowed pattern"),
        ({"Path": ["/x", "/y"]}, "one value"),
        ({"Path": ["/x"], "Word": ["c"]}, "allowed values"),
        ({"Path": ["/x"], "Count": ["five"]}, "Integer"),
        ({"Path": ["/x"], "Lines": []}, "items"),
        ({"Path": ["/x"], "Word": ["{{ ssm:/a }}"]}, "does not resolve"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(given: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(GOOD, given)


def test_the_execution_time_is_that_of_all_steps() -> None:
    assert execution_seconds(GOOD, {}) == 3610
    assert execution_seconds(RUN_SHELL_SCRIPT, {"executionTimeout": "20"}) == 20
    assert execution_seconds(RUN_SHELL_SCRIPT, {"executionTimeout": "4"}) == 3600
