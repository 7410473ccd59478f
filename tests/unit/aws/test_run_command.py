"""Run Command and the agents' state, against stubbed answers of Systems Manager."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws import run_command, waiting
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import UserError
from botocore.exceptions import ClientError
from botocore.stub import Stubber

HOST, COMMAND = "i-0123456789abcdef0", "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def ssm() -> Any:
    return boto3.client("ssm", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def test_a_failed_command_is_reported_by_host_step_exit_code_and_output() -> None:
    steps = [
        {"name": "first", "status": "Success", "response_code": 0, "stdout": "fine", "stderr": ""},
        {"name": "PatchHost", "status": "Failed", "response_code": 7, "stdout": "", "stderr": "no space left"},
    ]
    invocations = {
        "i-1": {"status": "Failed", "details": "Failed", "steps": steps},
        "i-2": {"status": "Success", "details": "Success", "steps": steps[:1]},
    }
    assert run_command.failures(invocations) == ["i-1: Failed in step PatchHost (exit code 7): no space left"]


def listed(status: str, *steps: str) -> dict[str, Any]:
    plugins = [{"Name": step} for step in steps]
    invocation = {"InstanceId": HOST, "Status": status, "StatusDetails": status, "CommandPlugins": plugins}
    return {"CommandInvocations": [invocation]}


def step(name: str, status: str, output: str = "", error: str = "", code: int = 0) -> dict[str, Any]:
    return {
        "PluginName": name,
        "Status": status,
        "ResponseCode": code,
        "StandardOutputContent": output,
        "StandardErrorContent": error,
        "ExecutionStartDateTime": "2026-11-25T09:00:00.000Z" if code != -1 else "",
    }


def command(command_id: str = COMMAND, lasts: int = 1860, **more: Any) -> dict[str, Any]:
    asked = datetime(2026, 11, 25, 9, tzinfo=UTC)
    return {
        "CommandId": command_id,
        "RequestedDateTime": asked,
        "ExpiresAfter": asked + timedelta(seconds=lasts),
        **more,
    }


def stubbed(ssm: Any, *answers: tuple[str, dict[str, Any]]) -> Stubber:
    stub = Stubber(ssm)
    for operation, answer in answers:
        stub.add_response(operation, answer)
    return stub


def test_a_script_is_waited_for_until_its_invocation_is_known_and_has_ended(ssm: Any) -> None:
    with stubbed(
        ssm,
        ("send_command", {"Command": command()}),
        ("list_command_invocations", {"CommandInvocations": []}),
        ("list_command_invocations", listed("InProgress")),
        ("list_command_invocations", listed("Success")),
        ("list_command_invocations", listed("Success", "aws:runShellScript")),
        ("get_command_invocation", step("aws:runShellScript", "Success", "probe=done\n")),
    ) as stub:
        assert run_command.run_script(ssm, HOST, "the probe", "echo probe=done", 60) == "probe=done\n"
        stub.assert_no_pending_responses()


def test_a_script_that_fails_is_named_with_host_exit_code_and_output(ssm: Any) -> None:
    with (
        stubbed(
            ssm,
            ("send_command", {"Command": command()}),
            ("list_command_invocations", listed("Failed")),
            ("list_command_invocations", listed("Failed", "aws:runShellScript")),
            ("get_command_invocation", step("aws:runShellScript", "Failed", error="no space left\n", code=3)),
        ),
        pytest.raises(
            UserError, match=rf"the probe failed on {HOST}: Failed in step .* \(exit code 3\): no space left$"
        ),
    ):
        run_command.run_script(ssm, HOST, "the probe", "exit 3", 60)


EARLIER = "22222222-2222-3333-4444-555555555555"
NONE: tuple[str, dict[str, Any]] = ("list_commands", {"Commands": []})
ASKED = {"Operation": ["Install"]}


def outcome(status: str, output: str = "", error: str = "", code: int = 0) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The answers that end a command: its status, and what is read of it then."""
    return (
        ("list_command_invocations", listed(status)),
        ("list_command_invocations", listed(status, "PatchHost")),
        ("get_command_invocation", step("PatchHost", status, output, error, code)),
    )


def run(ssm: Any, result: dict[str, Any], *answers: Any, **options: Any) -> None:
    """The document's run against these answers, all of which must be asked for."""
    stub = Stubber(ssm)
    for answer in answers:
        if isinstance(answer, RefusedError):
            stub.add_client_error(answer.operation, answer.code, http_status_code=answer.status)
        else:
            stub.add_response(*answer)
    with stub:
        try:
            run_command.run(ssm, "fleet-patch-host", [HOST], ASKED, result, **options)
        finally:
            stub.assert_no_pending_responses()


class RefusedError(Exception):
    """An error of the service."""

    def __init__(self, operation: str, code: str, status: int) -> None:
        self.operation, self.code, self.status = operation, code, status


def test_a_command_is_waited_for_as_long_as_it_may_take(ssm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def read_once(_what: str, read: Callable[[], Any], _good: Any, seconds: float, **_options: Any) -> Any:
        waited.append(seconds)
        return read()

    monkeypatch.setattr(run_command, "wait_for", read_once)
    result: dict[str, Any] = {}
    run(ssm, result, NONE, ("send_command", {"Command": command(lasts=3660)}), *outcome("Success", "{}"))
    assert waited[0] == 3660 + run_command.REPORT_SECONDS
    assert (result["command_id"], result["unfinished"]) == (COMMAND, [])


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ([("list_command_invocations", listed("Cancelled"))], "it was cancelled then"),
        ([("list_command_invocations", listed("Cancelling"))] * 2, "it was cancelled then, but is still running"),
        ([], "it could not be cancelled and may still be running"),
    ],
)
def test_a_command_that_is_out_of_time_is_cancelled_and_its_host_is_not_done_with_it(
    ssm: Any, monkeypatch: pytest.MonkeyPatch, after: list[Any], words: str
) -> None:
    monkeypatch.setattr(run_command, "CANCEL_SECONDS", 0)
    cancel: Any = ("cancel_command", {}) if after else RefusedError("cancel_command", "AccessDenied", 400)
    result: dict[str, Any] = {}
    answers = [
        NONE,
        ("send_command", {"Command": command()}),
        ("list_command_invocations", listed("InProgress")),
        cancel,
    ]
    with pytest.raises(UserError, match=rf"command {COMMAND} ended on {HOST}: not so after 0 s; .*; {words}"):
        run(ssm, result, *answers, *after[:1], wait_seconds=0)
    assert result["unfinished"] == [HOST]


def test_a_command_of_a_lost_control_node_is_taken_over_instead_of_sent_again(ssm: Any) -> None:
    same = command(EARLIER, InstanceIds=[HOST], Parameters={**ASKED, "WaitSeconds": ["600"]})
    result: dict[str, Any] = {}
    answers = [("list_commands", {"Commands": [same]}), ("list_command_invocations", listed("InProgress"))]
    run(ssm, result, *answers, *outcome("Success", '{"updated": []}'), report=True)
    assert (result["command_id"], result["unfinished"]) == (EARLIER, [])
    assert result["reports"] == {HOST: {"updated": []}}


@pytest.mark.parametrize(
    "other",
    [
        {"InstanceIds": [HOST], "Parameters": {"Operation": ["Scan"]}},
        {"InstanceIds": [HOST, "i-2"], "Parameters": ASKED},
    ],
)
def test_another_command_of_the_document_is_waited_for_before_ours_is_sent(ssm: Any, other: dict[str, Any]) -> None:
    result: dict[str, Any] = {}
    running = ("list_command_invocations", listed("InProgress"))
    answers = [("list_commands", {"Commands": [command(EARLIER, **other)]}), running, running]
    run(ssm, result, *answers, *outcome("Failed"), ("send_command", {"Command": command()}), *outcome("Success"))
    assert result["command_id"] == COMMAND


def test_another_hosts_command_is_none_of_ours(ssm: Any) -> None:
    elsewhere = {"CommandInvocations": [{"InstanceId": "i-2", "Status": "InProgress"}]}
    answers = [("list_commands", {"Commands": [command(EARLIER)]}), ("list_command_invocations", elsewhere)]
    run(ssm, {}, *answers, ("send_command", {"Command": command()}), *outcome("Success"))


@pytest.mark.parametrize(
    ("code", "status", "unfinished"), [("InvalidDocument", 400, []), ("InternalServerError", 500, [HOST])]
)
def test_a_command_that_was_refused_leaves_nothing_behind_and_one_without_an_answer_may(
    ssm: Any, code: str, status: int, unfinished: list[str]
) -> None:
    result: dict[str, Any] = {}
    with pytest.raises(ClientError):
        run(ssm, result, NONE, RefusedError("send_command", code, status))
    assert result["unfinished"] == unfinished


@pytest.mark.parametrize(
    ("status", "code", "unfinished"),
    [
        ("Failed", 1, []),
        ("TimedOut", 137, [HOST]),
        ("Cancelled", 137, [HOST]),
        ("TimedOut", -1, []),
        ("Cancelled", -1, []),
    ],
)
def test_only_an_agent_that_has_seen_the_end_or_no_beginning_frees_the_host(
    ssm: Any, status: str, code: int, unfinished: list[str]
) -> None:
    result: dict[str, Any] = {}
    answers = [NONE, ("send_command", {"Command": command()}), *outcome(status, error="killed", code=code)]
    with pytest.raises(UserError, match=rf"command {COMMAND} failed on {HOST}: {status}"):
        run(ssm, result, *answers)
    assert result["unfinished"] == unfinished


@pytest.mark.parametrize("output", ["", "done", "3", '{"updated": [--output truncated--'])
def test_output_that_is_no_report_is_an_error_that_names_the_host(ssm: Any, output: str) -> None:
    answers = [NONE, ("send_command", {"Command": command()}), *outcome("Success", output)]
    with pytest.raises(UserError, match=rf"{HOST}: the last line of the output is no report"):
        run(ssm, {}, *answers, report=True)


def test_a_host_that_fails_or_reports_nothing_costs_no_other_host_its_report() -> None:
    def ended(status: str, output: str) -> dict[str, Any]:
        return {"status": status, "steps": [{"stdout": output}]}

    found, odd = run_command.reports(
        {"i-1": ended("Success", '{"pending": 2}'), "i-2": ended("Failed", "{}"), "i-3": ended("Success", "odd")}
    )
    assert found == {"i-1": {"pending": 2}}
    assert odd == ["i-3: the last line of the output is no report (a JSON object): 'odd'"]


def test_the_outcome_is_not_lost_to_an_answer_that_is_throttled(ssm: Any) -> None:
    ended, details, read = outcome("Success", "{}")
    sent = ("send_command", {"Command": command()})
    result: dict[str, Any] = {}
    throttled = [RefusedError("list_command_invocations", "ThrottlingException", 400)] * 8
    run(ssm, result, NONE, sent, ended, *throttled, details, read)
    assert result["unfinished"] == []


def agents(**states: str) -> dict[str, Any]:
    found = [{"InstanceId": i.replace("_", "-"), "PingStatus": s, "AgentVersion": "3.3"} for i, s in states.items()]
    return {"InstanceInformationList": found}


def test_the_outcome_is_read_again_while_answers_are_older_than_the_one_that_said_the_end(ssm: Any) -> None:
    result: dict[str, Any] = {}
    stub = stubbed(
        ssm,
        NONE,
        ("send_command", {"Command": command()}),
        ("list_command_invocations", listed("Success")),
        ("list_command_invocations", {"CommandInvocations": []}),
        ("list_command_invocations", listed("InProgress", "PatchHost")),
        ("get_command_invocation", step("PatchHost", "InProgress")),
        ("list_command_invocations", listed("Success", "PatchHost")),
    )
    stub.add_client_error("get_command_invocation", service_error_code="InvocationDoesNotExist")
    stub.add_response("list_command_invocations", listed("Success", "PatchHost"))
    stub.add_response("get_command_invocation", step("PatchHost", "Success", '{"release": "x"}'))
    with stub:
        run_command.run(ssm, "fleet-patch-host", [HOST], ASKED, result, report=True)
        stub.assert_no_pending_responses()
    assert (result["reports"], result["unfinished"]) == ({HOST: {"release": "x"}}, [])


def test_agents_are_waited_for_until_all_are_online(ssm: Any) -> None:
    with stubbed(
        ssm,
        ("describe_instance_information", agents(i_1="Online")),
        ("describe_instance_information", agents(i_1="Online", i_2="Online")),
    ):
        assert run_command.wait_online(ssm, ["i-1", "i-2"], 60) == {"i-1": "3.3", "i-2": "3.3"}


def test_agents_that_stay_away_are_named_with_their_state(ssm: Any) -> None:
    answer = agents(i_1="Online", i_2="ConnectionLost")
    with (
        stubbed(ssm, ("describe_instance_information", answer)),
        pytest.raises(waiting.WaitTimeoutError, match=r"last answer: i-2 is ConnectionLost, i-3 is never registered$"),
    ):
        run_command.wait_online(ssm, ["i-1", "i-2", "i-3"], 0)


def test_hosts_that_are_not_online_in_time_are_told_apart_from_those_that_are(ssm: Any) -> None:
    answer = agents(i_1="Online", i_2="ConnectionLost")
    with stubbed(ssm, ("describe_instance_information", answer), ("describe_instance_information", answer)):
        versions, offline = run_command.online(ssm, ["i-1", "i-2", "i-3"], 0)
    assert (versions, offline) == ({"i-1": "3.3"}, {"i-2": "ConnectionLost", "i-3": "never registered"})


def test_more_hosts_than_a_filter_takes_are_asked_for_in_several_calls(ssm: Any) -> None:
    ids = [f"i-{number}" for number in range(250)]
    answers = [
        {"InstanceInformationList": [{"InstanceId": i, "PingStatus": "Online"} for i in part]}
        for part in (ids[:100], ids[100:200], ids[200:])
    ]
    with stubbed(ssm, *(("describe_instance_information", answer) for answer in answers)):
        assert len(run_command.online(ssm, ids, 0)[0]) == 250
