"""Before the first host is contacted: what a connection needs here and in the account."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from ansible_collections.ecommerce.fleet.plugins.action.check_connection import violation
from botocore.stub import Stubber

from tests.support.session_manager import write_plugin


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setattr(boto3, "client", lambda *_arguments, **_options: client)
    stubber = Stubber(client)
    stubber.activate()
    return stubber


def test_plain_ssh_needs_nothing() -> None:
    assert violation("ssh", "us-east-1", "") == ""


def test_a_missing_session_manager_plugin_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "There is no session-manager-plugin on PATH" in violation("session_manager_ssh", "us-east-1", "")


def test_an_old_session_manager_plugin_is_refused_and_a_new_one_let_pass(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write_plugin(tmp_path, version="1.2.30.0")
    assert "is 1.2.30.0; 1.2.764.0 or newer is needed" in violation("session_manager_ssh", "us-east-1", "")
    write_plugin(tmp_path)
    assert violation("session_manager_ssh", "us-east-1", "") == ""


def test_a_bucket_that_keeps_versions_is_refused_for_aws_ssm(s3: Stubber) -> None:
    s3.add_response("get_bucket_versioning", {"Status": "Enabled"}, {"Bucket": "transfer"})
    assert "Bucket transfer (fleet_session_manager_bucket) keeps versions" in violation(
        "aws_ssm", "us-east-1", "transfer"
    )


@pytest.mark.parametrize("answer", [{}, {"Status": "Suspended"}])
def test_a_bucket_that_keeps_none_is_let_pass(s3: Stubber, answer: dict[str, str]) -> None:
    s3.add_response("get_bucket_versioning", answer, {"Bucket": "transfer"})
    assert violation("aws_ssm", "us-east-1", "transfer") == ""


def test_a_bucket_that_is_not_there_is_named(s3: Stubber) -> None:
    s3.add_client_error("get_bucket_versioning", "NoSuchBucket", "The specified bucket does not exist")
    assert "Asking whether bucket transfer" in violation("aws_ssm", "us-east-1", "transfer")


def test_aws_ssm_without_a_bucket_names_the_variable() -> None:
    assert violation("aws_ssm", "us-east-1", "").startswith("fleet_session_manager_bucket is missing")
