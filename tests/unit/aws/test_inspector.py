"""What Inspector and Systems Manager know about an instance: the findings, and the questions that are asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws import inspector
from ansible_collections.ecommerce.fleet.plugins.modules import inspector_account as module
from botocore.stub import Stubber

NOW = datetime(2026, 6, 1, tzinfo=UTC)
INSTANCE = "i-0123456789abcdef0"
ASKED = {"instance_id": INSTANCE, "paths": ["/opt/shop"], "inventory_hours": 24}


def account(status: str) -> dict[str, Any]:
    resources = {
        name: {"errorCode": "ALREADY_ENABLED", "errorMessage": "none", "status": status} for name in ("ec2", "ecr")
    }
    return {"accountId": "123456789012", "resourceState": resources, "state": resources["ec2"]}


def status(**changed: Any) -> dict[str, Any]:
    return {"AssociationName": inspector.INVENTORY_ASSOCIATION, "Status": "Success", "ExecutionDate": NOW} | changed


def test_an_account_without_ec2_scanning_is_told_how_to_enable_it() -> None:
    assert inspector.enabled(account("ENABLED"))["state"] == "ok"
    found = inspector.enabled(account("DISABLED"))
    assert (found["state"], "aws inspector2 enable" in found["detail"]) == ("missing", True)


@pytest.mark.parametrize(
    ("covered", "state", "detail"),
    [
        ([], "missing", "does not know"),
        (
            [{"resourceId": "i-other", "scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"}}],
            "missing",
            "does not know",
        ),
        (
            [{"resourceId": INSTANCE, "scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"}}],
            "ok",
            "SUCCESSFUL",
        ),
        (
            [{"resourceId": INSTANCE, "scanStatus": {"statusCode": "INACTIVE", "reason": "UNMANAGED_EC2_INSTANCE"}}],
            "missing",
            "UNMANAGED",
        ),
    ],
)
def test_an_instance_is_covered_when_it_is_scanned(covered: list[dict[str, Any]], state: str, detail: str) -> None:
    found = inspector.coverage(covered, INSTANCE)
    assert found["state"] == state
    assert detail in found["detail"]


@pytest.mark.parametrize(
    ("statuses", "state", "detail"),
    [
        ([], "missing", "does not run here"),
        ([status(AssociationName="another")], "missing", "does not run here"),
        ([status(ExecutionDate=None)], "missing", "never run"),
        ([status()], "ok", "within 24 h"),
        ([status(Status="Failed")], "missing", "Failed"),
        ([status(ExecutionDate=NOW - timedelta(hours=25))], "missing", "not within 24 h"),
    ],
)
def test_the_inventory_is_fresh_when_its_association_ran_lately(
    statuses: list[dict[str, Any]], state: str, detail: str
) -> None:
    found = inspector.inventory_age(statuses, NOW, 24)
    assert found["state"] == state
    assert detail in found["detail"]


def test_a_path_may_be_known_to_the_account_or_the_organization() -> None:
    found = list(inspector.custom_paths(["/opt/shop/"], ["/srv"], ["/opt/shop", "/srv", "/opt/other"]))
    assert [entry["state"] for entry in found] == ["ok", "ok", "missing"]


def clients() -> tuple[Any, Any, Any]:
    keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    sts, inspector2, ssm = (boto3.client(name, **keys) for name in ("sts", "inspector2", "ssm"))  # type: ignore[call-overload]
    return sts, inspector2, ssm


def test_every_question_is_asked_of_an_enabled_account_and_a_refused_one_is_unknown() -> None:
    sts, inspector2, ssm = clients()
    covered = {
        "accountId": "123456789012",
        "resourceId": INSTANCE,
        "resourceType": "AWS_EC2_INSTANCE",
        "scanType": "PACKAGE",
    }
    with Stubber(sts) as me, Stubber(inspector2) as answers, Stubber(ssm) as managed:
        me.add_response("get_caller_identity", {"Account": "123456789012"})
        own = {"accountIds": ["123456789012"]}
        answers.add_response("batch_get_account_status", {"accounts": [account("ENABLED")]}, own)
        scanned = covered | {"scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"}}
        criteria = {"resourceId": [{"comparison": "EQUALS", "value": INSTANCE}]}
        answers.add_response("list_coverage", {"coveredResources": [scanned]}, {"filterCriteria": criteria})
        answers.add_response("get_ec2_deep_inspection_configuration", {"packagePaths": ["/opt/shop"]})
        managed.add_client_error("describe_instance_associations_status", "AccessDeniedException", "not allowed")
        found = {entry["name"]: entry for entry in module.findings(sts, inspector2, ssm, ASKED)}
    assert {name: entry["state"] for name, entry in found.items()} == {
        "account_enabled": "ok",
        "coverage": "ok",
        "inventory_association": "unknown",
        "account_path": "ok",
    }
    assert "AccessDeniedException" in found["inventory_association"]["detail"]


def test_nothing_more_is_asked_where_scanning_is_off() -> None:
    sts, inspector2, ssm = clients()
    with Stubber(sts) as me, Stubber(inspector2) as answers:
        me.add_response("get_caller_identity", {"Account": "123456789012"})
        answers.add_response("batch_get_account_status", {"accounts": [account("DISABLED")]})
        found = list(module.findings(sts, inspector2, ssm, ASKED))
    assert [entry["name"] for entry in found] == ["account_enabled"]


def test_an_account_that_inspector_says_nothing_of_is_unknown_not_ready() -> None:
    sts, inspector2, ssm = clients()
    with Stubber(sts) as me, Stubber(inspector2) as answers, Stubber(ssm) as managed:
        me.add_response("get_caller_identity", {"Account": "123456789012"})
        answers.add_response("batch_get_account_status", {"accounts": []})
        answers.add_response("list_coverage", {"coveredResources": []})
        managed.add_response("describe_instance_associations_status", {"InstanceAssociationStatusInfos": []})
        found = list(module.findings(sts, inspector2, ssm, ASKED | {"paths": []}))
    assert [entry["state"] for entry in found] == ["unknown", "missing", "missing"]
