"""What changes something is not answered too quickly for the one client that would take it for lost; nobody else waits."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cloud.auth.request import Call
from lab.cloud.go_sdk_delay import SECONDS, GoSdkDelay

GO = "aws-sdk-go-v2/1.41.7 ua/2.1 os/linux lang/go#1.24"
PYTHON = "Boto3/1.40.0 md/Botocore#1.40.0"


def waited(agent: str, action: str) -> list[float]:
    """For how long an answer was held back, with the application's own answer seen to come after it."""
    log: list[Any] = []

    def app(_environ: dict[str, Any], _start_response: Any) -> list[bytes]:
        log.append("answered")
        return [b"<Response/>"]

    call = Call("key", None, "us-east-1", "ec2", action, "ec2")
    assert GoSdkDelay(app, log.append)({"HTTP_USER_AGENT": agent, "lab.call": call}, None) == [b"<Response/>"]
    assert log.pop() == "answered"
    return log


@pytest.mark.parametrize("action", ["DeregisterImage", "RunInstances", "CreateTags"])
def test_the_sdk_for_go_waits_a_round_trip_for_what_changes_something(action: str) -> None:
    assert waited(GO, action) == [SECONDS]


@pytest.mark.parametrize("action", ["DescribeImages", "GetParameter", "ListKeys"])
def test_a_read_may_be_repeated_and_is_answered_at_once(action: str) -> None:
    assert waited(GO, action) == []


@pytest.mark.parametrize("agent", [PYTHON, "", "curl/8.0"])
def test_other_clients_do_not_wait(agent: str) -> None:
    assert waited(agent, "DeregisterImage") == []
