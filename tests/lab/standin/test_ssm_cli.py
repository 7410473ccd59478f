"""The stand-in's ssm-cli, and what the collection makes of its output."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._agents.evidence import json_object, registration_errors


class Answers:
    """What ssm-cli prints on a host whose services answer at `endpoints`."""

    def __init__(self, agent: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.cli = agent.cli
        who = agent.host.Identity("i-1", "us-east-1", "10.0.0.9", "host")
        keys = agent.aws.Credentials("AKID", "secret", "token", datetime(2100, 1, 1, tzinfo=UTC))
        self.metadata: Any = type("Metadata", (), {"credentials": lambda _self: keys})
        self.endpoints = dict.fromkeys((*self.cli.SERVICES, "sts"), "http://127.0.0.1:1")
        monkeypatch.setattr(self.cli, "Metadata", self.metadata)
        monkeypatch.setattr(self.cli, "identity", lambda _metadata: who)
        monkeypatch.setattr(self.cli, "running", lambda: {"endpoints": self.endpoints})
        monkeypatch.setattr(self.cli, "CONFIG", folder / "amazon-ssm-agent.json")
        monkeypatch.setattr(self.cli.Diagnostics, "_agent", lambda _self: "Agent service is running")

    def notes(self, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
        assert self.cli.main(["get-diagnostics"]) == 0
        entries = json_object(capsys.readouterr().out, "DiagnosticsOutput")["DiagnosticsOutput"]
        return {entry["Check"]: (entry["Status"], entry["Note"]) for entry in entries}


@pytest.fixture
def answers(agent: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Answers:
    return Answers(agent, monkeypatch, tmp_path)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a service that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_in_a_subnet_without_sts_the_diagnostics_name_it_and_nothing_is_missing(
    answers: Answers, silent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.endpoints |= dict.fromkeys(("ssm", "ssmmessages", "sts"), silent)
    answers.cli.CONFIG.write_text("{}")
    assert answers.cli.main(["get-diagnostics", "--output", "json"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Applying config override from ")
    assert '"STS call timed out"' in output
    assert registration_errors(output) == []
    answers.endpoints["sts"] = "http://127.0.0.1:1"
    status, note = answers.notes(capsys)["AWS Credentials"]
    assert status == "Failed" and note.startswith("Failed call sts endpoint: RequestError")


def test_a_host_without_a_role_or_without_a_route_lacks_what_it_lacks(
    agent: ModuleType, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_role(_self: Any) -> Any:
        raise agent.aws.AwsError("EC2RoleRequestError: no EC2 instance role found", "EC2RoleRequestError")

    answers.metadata.credentials = no_role
    assert answers.cli.main(["get-diagnostics"]) == 0
    errors = registration_errors(capsys.readouterr().out)
    assert [error.partition(":")[0] for error in errors] == [
        "AWS Credentials",
        "Connectivity to ssm endpoint",
        "Connectivity to ssmmessages endpoint",
    ]


def test_the_command_line_tells_who_the_host_is_and_prints_its_errors_on_standard_output(
    agent: ModuleType, answers: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.cli.CONFIG.write_text("{}")
    assert answers.cli.main(["get-instance-information"]) == 0
    told = json_object(capsys.readouterr().out, "instance-id")
    assert told == {"instance-id": "i-1", "region": "us-east-1", "release-version": agent.VERSION}

    def nobody(_metadata: Any) -> Any:
        raise agent.aws.AwsError("instance metadata: timed out")

    monkeypatch.setattr(answers.cli, "identity", nobody)
    assert answers.cli.main(["get-instance-information"]) == 255
    assert capsys.readouterr().out.endswith("\nerror: instance metadata: timed out\n")
    assert answers.cli.main(["get-diagnostic"]) == 2
