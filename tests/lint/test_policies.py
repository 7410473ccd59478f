"""The IAM policies in ssm/policies: valid, of actions that AWS has, for these resources only; people need a second factor."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from tests.support.tree import ROOT

POLICIES = sorted((ROOT / "ssm/policies").glob("*.json"))
PEOPLE = ("administrators",)
MFA = {"aws:MultiFactorAuthPresent": "true"}
FOR_ALL = ("ec2:DescribeInstances",)
"""Actions for which IAM knows no resource (Service Authorization Reference)."""


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def statements(*policies: str) -> list[Any]:
    """Of these policies, or of all."""
    return [
        pytest.param(statement, id=f"{path.stem}-{statement['Sid']}")
        for path in POLICIES
        if not policies or path.stem in policies
        for statement in read(path)["Statement"]
    ]


@cache
def operations(service: str) -> frozenset[str]:
    return frozenset(botocore.session.get_session().get_service_model(service).operation_names)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_policy_is_one_that_iam_takes(path: Path) -> None:
    IAMPolicyDocumentValidator(path.read_text()).validate()
    # Inline policies of a role have 10,240 characters, managed ones 6,144 (IAM quotas); blanks do not count.
    assert len(json.dumps(read(path), separators=(",", ":"))) <= 6144
    names = [statement["Sid"] for statement in read(path)["Statement"]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("statement", statements())
def test_every_action_is_named_whole_and_one_of_aws(statement: dict[str, Any]) -> None:
    for action in listed(statement["Action"]):
        service, _, name = action.partition(":")
        assert name in operations(service), action


@pytest.mark.parametrize("statement", statements())
def test_an_action_is_allowed_on_named_kinds_of_resources_only(statement: dict[str, Any]) -> None:
    for resource in listed(statement["Resource"]):
        if resource == "*":
            assert set(listed(statement["Action"])) <= set(FOR_ALL)
            continue
        assert resource.startswith("arn:aws:")
        name = resource.split(":", 5)[5]
        assert "*" not in name.split("/")[0]
        # All instances, only by a condition on their tags.
        if name == "instance/*":
            assert any("ag/Application" in key for key in statement["Condition"]["StringEquals"])


@pytest.mark.parametrize("statement", statements(*PEOPLE))
def test_a_person_needs_a_second_factor_for_all_of_it(statement: dict[str, Any]) -> None:
    # Not BoolIfExists: a request without the key, by a person's long-lived access key, would pass.
    assert statement["Effect"] == "Allow"
    assert statement["Condition"]["Bool"] == MFA


def test_a_host_overwrites_no_keys_but_its_own() -> None:
    writes = [
        statement["Condition"]
        for statement in read(ROOT / "ssm/policies/hosts.json")["Statement"]
        if {"ssm:PutParameter", "ssm:AddTagsToResource"} & set(listed(statement["Action"]))
    ]
    own = "${ec2:SourceInstanceARN}"
    assert writes == [
        {"StringEquals": {"aws:RequestTag/InstanceArn": own}, "Null": {"aws:ResourceTag/InstanceArn": "true"}},
        {"StringEquals": {"aws:ResourceTag/InstanceArn": own}},
    ]


def test_the_operators_page_names_every_policy_and_repeats_none() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    for path in POLICIES:
        assert f"(../ssm/policies/{path.name})" in page
    assert '"Version": "2012-10-17"' not in page
