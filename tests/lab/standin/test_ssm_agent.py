"""The stand-in SSM agent without a machine: signatures, references, reboots, its package."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.ssm_agent import LIBRARY, PACKAGE, Host, step


@pytest.mark.parametrize(("service", "method", "path"), [("ssm", "POST", "/"), ("s3", "PUT", "/bucket/a%20b/c")])
def test_the_signature_is_the_one_that_botocore_makes(
    agent: ModuleType, monkeypatch: pytest.MonkeyPatch, service: str, method: str, path: str
) -> None:
    signer: Any = S3SigV4Auth if service == "s3" else SigV4Auth
    now, url, body = datetime(2026, 11, 25, 9, 0, 0, tzinfo=UTC), f"http://10.0.0.1:4566{path}", b'{"a": 1}'
    headers = {"X-Amz-Target": "AmazonSSM.X", "Content-Type": "application/x-amz-json-1.1"} if service == "ssm" else {}
    own = agent.aws.sign(
        agent.aws.Credentials("AKID", "secret", "token", now),
        "us-east-1",
        service,
        method=method,
        url=url,
        headers=headers,
        body=body,
        now=now,
    )
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: now.replace(tzinfo=None))
    signer(Credentials("AKID", "secret", "token"), service, "us-east-1").add_auth(request)
    assert own["authorization"] == request.headers["Authorization"]


def test_the_endpoint_is_aws_unless_the_environment_says_otherwise(agent: ModuleType) -> None:
    def endpoint(**environ: str) -> str:
        return str(agent.aws.Client("us-west-2", agent.aws.Metadata(), environ).endpoint("ssm"))

    assert endpoint() == "https://ssm.us-west-2.amazonaws.com"
    assert endpoint(AWS_ENDPOINT_URL="http://10.0.0.1:4566/") == "http://10.0.0.1:4566"
    assert endpoint(AWS_ENDPOINT_URL="http://a", AWS_ENDPOINT_URL_SSM="http://b") == "http://b"
    with pytest.raises(agent.aws.AwsError, match="not an HTTP address"):
        endpoint(AWS_ENDPOINT_URL="file:///etc/passwd")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ Word }} and {{Word}}", "a and a"),
        ("{{ Lines }}", ["x", "y"]),
        (["echo", "{{ Lines }}"], ["echo", ["x", "y"]]),
        (" {{ Word }}", " a"),
        ("{{ Price }}", "$$5"),
        ("costs {{ Price }}", "costs $5"),
        ("as {{ Lines }}", 'as ["x","y"]'),
        ("{{ Count }}", 5),
        ("n={{ Count }}", "n=5"),
        ("{{ Unknown }} ${{HOME}}", "{{ Unknown }} ${{HOME}}"),
        ({"a": ["{{ Word }}"]}, {"a": ["a"]}),
    ],
)
def test_references_become_the_parameters_values(agent: ModuleType, value: Any, expected: Any) -> None:
    assert agent.document.fill(value, {"Word": "a", "Lines": ["x", "y"], "Count": 5, "Price": "$$5"}) == expected


def test_the_agent_reboots_once_and_begins_again_when_it_starts_be_it_in_the_same_boot(
    host: Host, agent: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, reboots, replies = tmp_path / "mark", [], []
    host.accept(step("Reboot", f"[ -e {mark} ] && exit 0; touch {mark}; exit 194"))

    def work(_self: Any, state: Any) -> None:
        if not state.finished and not state.reboot:
            host.work()

    monkeypatch.setattr(agent.commands.Commands, "_keep_working", work)
    client = type("Client", (), {"call": lambda _self, _s, _a, request: replies.append(json.loads(request["Payload"]))})

    def start() -> None:
        """A start of the agent, until it has nothing more to do."""
        agent.commands.Commands(client(), None, host.store, 5, lambda: reboots.append(1)).resume()
        for thread in [t for t in threading.enumerate() if t.name == "c-1"]:
            thread.join(10)

    start()
    assert (len(reboots), replies[-1]["documentStatus"]) == (1, "SuccessAndReboot")
    assert host.store.unfinished()
    start()
    assert (len(reboots), replies[-1]["documentStatus"]) == (1, "Success")
    assert not host.store.unfinished()


def test_a_command_has_one_worker(host: Host) -> None:
    with host.store.work_on("c-1") as mine:
        assert mine
        assert host.store.worked_on("c-1")
    assert not host.store.worked_on("c-1")


def test_the_package_says_the_version_that_the_agent_says(agent: ModuleType) -> None:
    package = tomllib.loads((PACKAGE / "package.toml").read_text())
    assert package["version"] == agent.VERSION
    done = subprocess.run(
        [sys.executable, "-c", "import ssm_standin.agent as a; a.main(['-version'])"],
        cwd=LIBRARY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"SSM Agent version: {agent.VERSION}\n"
