"""Playbooks ask first whose credentials they have."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.ecommerce.fleet.plugins.action import check_account
from botocore.stub import Stubber


def test_the_account_of_the_credentials_is_asked_of_sts(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("sts", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setattr(boto3, "client", lambda *_arguments, **_options: client)
    with Stubber(client) as sts:
        sts.add_response("get_caller_identity", {"Account": "123456789012"})
        assert check_account.account("us-east-1") == "123456789012"
