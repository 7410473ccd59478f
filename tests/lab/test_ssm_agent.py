"""The stand-in SSM agent without a machine: signatures, the meaning of documents, its worker."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PACKAGE = Path(__file__).resolve().parent.parent.parent / "lab/standin/agents/ssm"
LIBRARY = PACKAGE / "root/usr/lib/amazon-ssm-agent"


@pytest.fixture(scope="module")
def agent() -> Iterator[ModuleType]:
    """The agent's package, as its programs import it."""
    sys.path.insert(0, str(LIBRARY))
    try:
        for program in ("agent", "worker", "cli"):
            importlib.import_module(f"ssm_standin.{program}")
        yield importlib.import_module("ssm_standin")
    finally:
        sys.path.remove(str(LIBRARY))


def step(name: str, run: Any = "true", **more: Any) -> dict[str, Any]:
    inputs = {"runCommand": run if isinstance(run, list) else [run], **more.pop("inputs", {})}
    return {"action": "aws:runShellScript", "name": name, "inputs": inputs, **more}


class Host:
    """A place for the agent's state, and workers run in this process."""

    def __init__(self, agent: ModuleType, data: Path) -> None:
        self.agent = agent
        self.store = agent.state.Store(data, "i-1")

    def accept(self, *steps: dict[str, Any], parameters: dict[str, Any] | None = None) -> None:
        payload = {
            "CommandId": "c-1",
            "DocumentContent": {"schemaVersion": "2.2", "mainSteps": list(steps)},
            "Parameters": parameters or {},
        }
        state = self.agent.worker.new_state("aws.ssm.c-1.i-1", "i-1", "us-east-1", payload)
        self.agent.state.save(state, self.store.path("c-1"))

    def work(self) -> dict[str, Any]:
        """What the agent would reply."""
        self.agent.worker.Worker(self.store, "c-1").run()
        reply: dict[str, Any] = self.agent.commands.reply(self.store.load("c-1"))
        return reply

    def run(self, *steps: dict[str, Any], parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        self.accept(*steps, parameters=parameters)
        return self.work()


@pytest.fixture
def host(agent: ModuleType, tmp_path: Path) -> Host:
    return Host(agent, tmp_path)


def ends(reply: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {name: (step["status"], step["code"]) for name, step in reply["runtimeStatus"].items()}


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
        (["echo", "{{ Lines }}"], ["echo", "x", "y"]),
        ("{{ Count }}", 5),
        ("n={{ Count }}", "n=5"),
        ("{{ Unknown }} ${{HOME}}", "{{ Unknown }} ${{HOME}}"),
        ({"a": ["{{ Word }}"]}, {"a": ["a"]}),
    ],
)
def test_references_become_the_parameters_values(agent: ModuleType, value: Any, expected: Any) -> None:
    assert agent.document.fill(value, {"Word": "a", "Lines": ["x", "y"], "Count": 5}) == expected


def test_output_and_exit_codes_are_those_of_the_script(host: Host) -> None:
    reply = host.run(step("Good", "echo out"), step("Bad", ["echo oops >&2", "exit 7"]))
    assert ends(reply) == {"Good": ("Success", 0), "Bad": ("Failed", 7)}
    assert reply["runtimeStatus"]["Good"]["standardOutput"] == "out\n"
    assert reply["runtimeStatus"]["Bad"]["standardError"] == "oops\nfailed to run commands: exit status 7"
    assert reply["documentStatus"] == "Failed"


def test_a_script_runs_under_the_interpreter_that_it_names(host: Host) -> None:
    reply = host.run(step("Bash", ["#!/bin/bash", "set -o pipefail", "echo ${BASH_VERSINFO[0]}0"]))
    assert reply["runtimeStatus"]["Bash"]["standardOutput"].strip().isdigit()


def test_a_failed_step_does_not_stop_the_next_unless_it_says_so(host: Host) -> None:
    assert ends(host.run(step("A", "exit 1"), step("B"))) == {"A": ("Failed", 1), "B": ("Success", 0)}


@pytest.mark.parametrize(
    ("flow", "code", "first", "document"),
    [
        ({"onFailure": "exit"}, 1, "Failed", "Failed"),
        ({"onFailure": "successAndExit"}, 1, "Success", "Success"),
        ({"onSuccess": "exit"}, 0, "Success", "Success"),
    ],
)
def test_a_step_can_end_the_document_but_for_its_final_step(
    host: Host, flow: dict[str, str], code: int, first: str, document: str
) -> None:
    final = step("Last", "echo bye", inputs={"finallyStep": True})
    reply = host.run(step("First", f"exit {code}", inputs=flow), step("Skipped", "echo no"), final)
    assert ends(reply) == {"First": (first, code), "Skipped": ("Skipped", 0), "Last": ("Success", 0)}
    assert reply["runtimeStatus"]["Last"]["standardOutput"] == "bye\n"
    assert reply["documentStatus"] == document


def test_a_step_for_another_platform_is_skipped_and_says_why(host: Host) -> None:
    reply = host.run(step("Windows", "echo no", precondition={"StringEquals": ["platformType", "Windows"]}))
    assert ends(reply) == {"Windows": ("Skipped", 0)}
    assert "unsatisfied preconditions" in reply["runtimeStatus"]["Windows"]["standardOutput"]


def test_a_precondition_can_compare_a_parameter(host: Host) -> None:
    wanted = step("Install", "echo did", precondition={"StringEquals": ["{{ Operation }}", "Install"]})
    assert ends(host.run(wanted, parameters={"Operation": "Scan"})) == {"Install": ("Skipped", 0)}


def test_a_plugin_that_the_agent_does_not_have_fails(host: Host) -> None:
    reply = host.run({"action": "aws:configurePackage", "name": "Package", "inputs": {"name": "x"}})
    assert ends(reply) == {"Package": ("Failed", 1)}
    assert "not supported" in reply["runtimeStatus"]["Package"]["standardError"]


def test_a_script_that_takes_too_long_is_killed_with_its_children(host: Host, tmp_path: Path) -> None:
    reply = host.run(step("Long", f"sleep 30 & echo $! >{tmp_path}/pid; wait", inputs={"timeoutSeconds": "1"}))
    assert ends(reply) == {"Long": ("TimedOut", 137)}
    assert reply["documentStatus"] == "TimedOut"
    child = Path("/proc") / (tmp_path / "pid").read_text().strip()
    assert not child.exists() or "\nState:\tZ" in (child / "status").read_text()


def test_a_cancelled_command_ends_and_runs_no_further_step(host: Host) -> None:
    host.accept(step("A", "sleep 30"), step("B"))
    subprocess.Popen(["sh", "-c", f"sleep 0.5; touch {host.store.cancel_path('c-1')}"])
    reply = host.work()
    assert ends(reply) == {"A": ("Cancelled", 137), "B": ("Cancelled", 137)}
    assert reply["documentStatus"] == "Cancelled"


def test_a_missing_working_directory_fails_the_step(host: Host) -> None:
    reply = host.run(step("There", "true", inputs={"workingDirectory": "/no/such/place"}))
    assert ends(reply) == {"There": ("Failed", 1)}


def test_exit_code_194_leaves_the_step_open_and_the_next_boot_begins_it_again(
    host: Host, agent: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    host.accept(step("Reboot", f"echo run; [ -e {mark} ] && exit 0; touch {mark}; exit 194"), step("Next"))
    reply = host.work()
    assert reply["documentStatus"] == "InProgress"
    assert ends(reply) == {"Reboot": ("InProgress", -1)}
    assert host.store.load("c-1").reboot == agent.paths.boot_id()
    reply = host.work()
    assert ends(reply) == {"Reboot": ("Success", 0), "Next": ("Success", 0)}
    assert reply["runtimeStatus"]["Reboot"]["standardOutput"] == "run\nrun\n"


def test_a_step_under_which_the_machine_goes_down_again_and_again_fails(host: Host) -> None:
    host.accept(step("Crash", "true"))
    state = host.store.load("c-1")
    state.steps = [host.agent.state.StepState("Crash", "aws:runShellScript", "InProgress", runs=3, started="t")]
    host.agent.state.save(state, host.store.path("c-1"))
    assert ends(host.work()) == {"Crash": ("Failed", 1)}


def test_long_output_is_cut_and_says_so(host: Host) -> None:
    shown = host.run(step("Long", "head -c 100000 /dev/zero | tr '\\0' x"))["runtimeStatus"]["Long"]
    assert len(shown["standardOutput"]) == 24000
    assert shown["standardOutput"].endswith("---Output truncated---")
    assert len(shown["output"]) == 2500


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
