"""How the stand-in SSM agent runs the steps of a document: as the real one (3.3) does."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ssm_agent import Host, ends, step


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
        ({}, 168, "Success", "Success"),
        ({}, 169, "Failed", "Failed"),
        ({"onSuccess": "exit"}, 0, "Success", "Success"),
    ],
)
def test_a_step_can_end_the_document_but_for_its_final_step(
    host: Host, flow: dict[str, str], code: int, first: str, document: str
) -> None:
    final = step("Last", "echo bye", inputs={"finallyStep": True})
    reply = host.run(step("First", f"exit {code}", inputs=flow), step("Skipped", "echo no"), final)
    shown = 168 if "successAndExit" in flow.values() else code
    assert ends(reply) == {"First": (first, shown), "Skipped": ("Skipped", 0), "Last": ("Success", 0)}
    skipped = reply["runtimeStatus"]["Skipped"]
    assert "skipped due to prior step with an exit condition" in skipped["output"] and skipped["standardOutput"] == ""
    assert reply["runtimeStatus"]["Last"]["standardOutput"] == "bye\n"
    assert reply["documentStatus"] == document


def test_a_step_for_another_platform_is_skipped_and_says_why(host: Host) -> None:
    reply = host.run(step("Windows", "echo no", precondition={"StringEquals": ["platformType", "Windows"]}))
    assert ends(reply) == {"Windows": ("Skipped", 0)}
    step_ = reply["runtimeStatus"]["Windows"]
    assert "unsatisfied preconditions: '\"StringEquals\": [platformType, Windows]'" in step_["output"]
    assert (step_["standardOutput"], step_["standardError"]) == ("", "")


def test_a_precondition_can_compare_a_parameter(host: Host) -> None:
    install = step("Install", "echo did", precondition={"StringEquals": ["{{ Operation }}", "Install"]})
    assert ends(host.run(install, parameters={"Operation": "Scan"})) == {"Install": ("Skipped", 0)}


def test_a_plugin_that_the_agent_does_not_have_fails(host: Host) -> None:
    reply = host.run({"action": "aws:configurePackage", "name": "Package", "inputs": {"name": "x"}})
    assert ends(reply) == {"Package": ("Failed", 1)}
    assert "not supported" in reply["runtimeStatus"]["Package"]["output"]


def test_a_script_that_takes_too_long_is_killed_with_its_children(host: Host, tmp_path: Path) -> None:
    reply = host.run(step("Long", f"sleep 30 & echo $! >{tmp_path}/pid; wait", inputs={"timeoutSeconds": "5"}))
    assert ends(reply) == {"Long": ("TimedOut", 137)}
    assert reply["runtimeStatus"]["Long"]["standardError"] == ""
    assert reply["documentStatus"] == "TimedOut"
    child = Path("/proc") / (tmp_path / "pid").read_text().strip()
    assert not child.exists() or "\nState:\tZ" in (child / "status").read_text()


def test_a_cancelled_command_ends_and_runs_no_further_step(host: Host) -> None:
    host.accept(step("A", "sleep 30"), step("B"))
    subprocess.Popen(["sh", "-c", f"sleep 0.5; touch {host.store.cancel_path('c-1')}"])
    reply = host.work()
    assert ends(reply) == {"A": ("Cancelled", 137), "B": ("Cancelled", 1)}
    assert reply["documentStatus"] == "Cancelled"


@pytest.mark.parametrize(
    ("directory", "end"),
    [("/no/such/place", ("Failed", 1)), ("no/such/place", ("Success", 0)), ("", ("Success", 0)), ("/", ("Success", 0))],
)
def test_an_absolute_working_directory_has_to_be_there_and_a_relative_one_has_not(
    host: Host, directory: str, end: tuple[str, int]
) -> None:
    reply = host.run(step("There", "pwd", inputs={"workingDirectory": directory}))
    assert ends(reply) == {"There": end}
    if end[1]:
        error = reply["runtimeStatus"]["There"]["standardError"]
        assert error == f"failed to run commands: chdir {directory}: no such file or directory"
    else:
        assert reply["runtimeStatus"]["There"]["standardOutput"] == f"{'/' if directory == '/' else Path.cwd()}\n"


def test_exit_code_194_leaves_the_step_open_and_it_is_begun_again(host: Host, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    host.accept(step("Reboot", f"echo run; [ -e {mark} ] && exit 0; touch {mark}; exit 194"), step("Next"))
    reply = host.work()
    assert reply["documentStatus"] == "SuccessAndReboot"
    assert ends(reply) == {"Reboot": ("SuccessAndReboot", 194)}
    assert host.store.load("c-1").reboot
    reply = host.work()
    assert ends(reply) == {"Reboot": ("Success", 0), "Next": ("Success", 0)}
    assert reply["runtimeStatus"]["Reboot"]["standardOutput"] == "run\nrun\n"


@pytest.mark.parametrize(
    ("script", "status", "code", "error"),
    [
        ("exit 3", "Failed", 3, "failed to run commands: exit status 3"),
        ("exit 137", "TimedOut", 137, ""),
        ("exec kill -KILL $$", "Failed", -1, "failed to run commands: signal: killed"),
        ("kill -TERM $$", "Failed", -1, "failed to run commands: signal: terminated"),
        ("bash -c 'kill -TERM $$'; exit $?", "Failed", 143, "Terminated\nfailed to run commands: exit status 143"),
        ("echo no >&2; exit 1", "Failed", 1, "no\nfailed to run commands: exit status 1"),
        ("printf no >&2; exit 1", "Failed", 1, "nofailed to run commands: exit status 1"),
        ("echo no >&2; exit 168", "Success", 168, ""),
    ],
)
def test_how_a_script_ends_is_shown_as_the_real_agent_shows_it(
    host: Host, script: str, status: str, code: int, error: str
) -> None:
    reply = host.run(step("Step", ["#!/bin/bash", script]))
    assert ends(reply) == {"Step": (status, code)}
    assert reply["runtimeStatus"]["Step"]["standardError"].partition("\nStep exited")[0] == error
    assert reply["documentStatus"] == status


def test_a_step_out_of_time_does_not_end_the_document(host: Host) -> None:
    reply = host.run(step("Slow", "exit 137", inputs={"onFailure": "exit"}), step("Next"))
    assert ends(reply) == {"Slow": ("TimedOut", 137), "Next": ("Success", 0)}


def test_a_failure_weighs_more_than_a_step_out_of_time_and_that_more_than_a_cancellation(agent: ModuleType) -> None:
    status = agent.document.document_status
    assert status(["Cancelled", "TimedOut", "Failed", "Success"]) == "Failed"
    assert status(["Cancelled", "TimedOut", "Skipped"]) == "TimedOut"
    assert status(["Success", "Skipped"]) == "Success"


def test_a_child_in_the_background_that_holds_the_output_keeps_the_step_running(host: Host) -> None:
    began = time.monotonic()
    reply = host.run(step("Holds", "(sleep 1; echo late) & echo first"))
    assert reply["runtimeStatus"]["Holds"]["standardOutput"] == "first\nlate\n"
    assert time.monotonic() - began >= 1
    began = time.monotonic()
    host.store.path("c-1").unlink()
    host.run(step("Free", "sleep 30 >/dev/null 2>&1 & echo $!; kill $!"))
    assert time.monotonic() - began < 10


def test_a_child_of_another_process_group_holds_the_step_until_its_time_is_over(host: Host) -> None:
    reply = host.run(step("Daemon", "setsid sleep 8 & echo begun", inputs={"timeoutSeconds": "5"}))
    assert ends(reply)["Daemon"][0] in ("TimedOut", "Failed")
    assert reply["runtimeStatus"]["Daemon"]["standardOutput"] == "begun\n"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("4", 3600),
        ("0", 3600),
        ("5", 5),
        (7, 7),
        ("7.9", 7),
        ("172800", 172800),
        ("172801", 3600),
        ("x", 3600),
        (None, 3600),
    ],
)
def test_a_time_limit_out_of_bounds_is_an_hour(agent: ModuleType, given: Any, seconds: int) -> None:
    assert agent.shell.seconds({"timeoutSeconds": given}) == seconds


@pytest.mark.parametrize("run", ["echo bare", ["echo", ["a", "list"]], ["echo", 5], {"a": "b"}])
def test_lines_that_are_no_texts_fail_the_step(host: Host, run: Any) -> None:
    reply = host.run({"action": "aws:runShellScript", "name": "Odd", "inputs": {"runCommand": run}})
    assert ends(reply) == {"Odd": ("Failed", 1)}
    assert "Invalid format in plugin properties" in reply["runtimeStatus"]["Odd"]["standardError"]


def test_a_list_of_lines_as_a_parameter_is_all_of_the_script_or_an_error(host: Host) -> None:
    whole = {"action": "aws:runShellScript", "name": "Whole", "inputs": {"runCommand": "{{ Lines }}"}}
    part = step("Part", ["echo before", "{{ Lines }}"])
    reply = host.run(whole, part, parameters={"Lines": ["echo a", "echo b"]})
    assert ends(reply) == {"Whole": ("Success", 0), "Part": ("Failed", 1)}
    assert reply["runtimeStatus"]["Whole"]["standardOutput"] == "a\nb\n"


def test_a_script_knows_its_command_and_where_it_runs(host: Host) -> None:
    names = "SSM_COMMAND_ID AWS_SSM_INSTANCE_ID AWS_SSM_REGION_NAME AWS_SSM_PLATFORM_NAME AWS_SSM_PLATFORM_VERSION"
    values = ["#!/bin/bash", f'for name in {names}; do echo "${{!name-absent}}"; done']
    shown = host.run(step("Env", values))["runtimeStatus"]["Env"]["standardOutput"].splitlines()
    assert shown[:3] == ["c-1", "i-1", "us-east-1"]
    assert "absent" not in shown and len(shown) == 5


@pytest.mark.parametrize(
    ("operands", "status"),
    [
        (["platformType", "linux"], "Success"),
        (["Linux", "platformType"], "Success"),
        (["platformType", "Windows"], "Skipped"),
        (["{{ Operation }}", "Scan"], "Success"),
        (["{{ Operation }}", "Install"], "Skipped"),
        (["Scan", "Scan"], "Failed"),
        (["Scan", "Install"], "Failed"),
        (["platformType"], "Failed"),
    ],
)
def test_preconditions_are_those_that_the_agent_knows(host: Host, operands: list[str], status: str) -> None:
    reply = host.run(step("Step", precondition={"StringEquals": operands}), parameters={"Operation": "Scan"})
    assert reply["runtimeStatus"]["Step"]["status"] == status


def test_a_step_under_which_the_machine_goes_down_again_and_again_fails(host: Host) -> None:
    host.accept(step("Crash", "true"))
    state = host.store.load("c-1")
    state.steps = [host.agent.state.StepState("Crash", "aws:runShellScript", "InProgress", runs=15, started="t")]
    host.agent.state.save(state, host.store.path("c-1"))
    assert ends(host.work()) == {"Crash": ("Failed", 1)}


def test_long_output_is_cut_and_says_so(host: Host) -> None:
    shown = host.run(step("Long", "head -c 100000 /dev/zero | tr '\\0' x"))["runtimeStatus"]["Long"]
    assert len(shown["standardOutput"]) == 24000
    assert shown["standardOutput"].endswith("xx--output truncated--")
    assert len(shown["output"]) == 2500
    assert shown["output"].endswith("xx\n---Output truncated---")


@given(content=st.text(max_size=30), times=st.integers(0, 4000))
def test_output_is_cut_by_bytes_and_only_where_it_has_to_be(agent: ModuleType, content: str, times: int) -> None:
    whole = (content * times).encode()
    shown = agent.output.standard(whole)
    if len(whole) < 24000:
        assert shown.encode() == whole
    else:
        assert shown.endswith("--output truncated--")
        assert whole.startswith(shown.removesuffix("--output truncated--").rstrip("\ufffd").encode())
        assert len(shown.replace("\ufffd", "").encode()) + 3 >= 23997 and len(shown) <= 24000


@given(out=st.binary(max_size=6000), error=st.binary(max_size=6000))
def test_output_and_errors_share_the_room_of_a_list(agent: ModuleType, out: bytes, error: bytes) -> None:
    out, error = out.replace(b"\xff", b"x"), error.replace(b"\xff", b"x")
    shown = agent.output.both(out, error)
    title = "\n----------ERROR-------\n"
    assert (title in shown) >= bool(error)
    if len(out) + len(error) < 2500 - len(title):
        assert shown == (out + (title.encode() + error if error else b"")).decode("utf-8", "replace")
    else:
        assert "truncated---" in shown or len(out) + len(error) < 2500
    assert len(shown) <= 2500
