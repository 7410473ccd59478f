# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems Manager on hosts: commands and what became of them, and whether the agents are online.

Sources: Systems Manager API Reference (SendCommand, Command, CommandFilter, CommandInvocation, DescribeInstanceInformation),
"Understanding command timeout values" (Systems Manager User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .client import paginate
from .errors import AWS_ERRORS, UserError, error_code, is_transient
from .waiting import WaitTimeoutError, wait_for

ENDED = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})
"""Statuses that change no more. "Delivery Timed Out" and the like are details of these."""
TAIL_CHARACTERS = 1500
LEAST_EXECUTION_SECONDS = 5
"""For an executionTimeout below this the agent takes an hour."""
NEVER, ONLINE = "never registered", "Online"
FILTER_VALUES = 100
"""Most values of a filter of DescribeInstanceInformation (InstanceInformationStringFilter)."""
REPORT_SECONDS = 120.0
"""How long after its total timeout the service may take to end a command of which no agent says anything."""
CANCEL_SECONDS = 60.0
"""How long an agent may take to end what is cancelled."""
READ_SECONDS = 60.0

Invocation = dict[str, Any]
"""What became of a command on one host: ``status``, ``details`` and ``steps``, each with name, status, response_code, started (a time, or
empty), stdout, stderr."""


@dataclass(frozen=True)
class Sent:
    """A command, and how long after the request the service ends it at the latest: delivery, execution, and a margin."""

    command_id: str
    seconds: float


def _sent(command: Mapping[str, Any]) -> Sent:
    """From a Command of the API; by its own two times, so that this machine's clock does not matter."""
    lifetime = (command["ExpiresAfter"] - command["RequestedDateTime"]).total_seconds()
    return Sent(str(command["CommandId"]), lifetime + REPORT_SECONDS)


def send(
    ssm: Any,
    document: str,
    instance_ids: Sequence[str],
    parameters: Mapping[str, list[str]],
    *,
    comment: str = "",
    delivery_seconds: int = 60,
    max_concurrency: str = "50",
    max_errors: str = "0",
) -> Sent:
    """Start a command. ``delivery_seconds``: how long an agent may take to fetch it, 30 at least."""
    answer = ssm.send_command(
        DocumentName=document,
        InstanceIds=list(instance_ids),
        Parameters=parameters,
        Comment=comment[:100],
        TimeoutSeconds=delivery_seconds,
        MaxConcurrency=max_concurrency,
        MaxErrors=max_errors,
    )
    return _sent(answer["Command"])


def running(ssm: Any, document: str, instance_ids: Sequence[str]) -> list[tuple[Sent, Mapping[str, Any]]]:
    """The document's commands that have not ended on one of the hosts, oldest first, each with its Command of the API.

    By the document and not by the host: the API finds no pending command by its host.
    """
    filters = [{"key": "ExecutionStage", "value": "Executing"}, {"key": "DocumentName", "value": document}]
    found = paginate(ssm, "list_commands", "Commands", Filters=filters)
    commands = sorted(found, key=lambda command: command["RequestedDateTime"])
    return [(_sent(c), c) for c in commands if _not_ended(_statuses(ssm, c["CommandId"]), instance_ids)]


def asks_the_same(command: Mapping[str, Any], instance_ids: Sequence[str], parameters: Mapping[str, list[str]]) -> bool:
    """Whether a Command of the API is for these very hosts with these parameters; those that are not named have their defaults."""
    given = command.get("Parameters") or {}
    return set(command.get("InstanceIds") or ()) == set(instance_ids) and all(
        given.get(k) == v for k, v in parameters.items()
    )


def run(
    ssm: Any,
    document: str,
    instance_ids: Sequence[str],
    parameters: Mapping[str, list[str]],
    result: dict[str, Any],
    *,
    wait_seconds: float | None = None,
    report: bool = False,
    **options: Any,
) -> None:
    """Run the document on the hosts, after what still runs of it there; the same command is not sent twice. Raises UserError if it fails.

    ``result`` is kept up to date on the way, so that it tells where an error came: ``changed``, ``command_id``, ``invocations`` and
    ``unfinished`` (hosts that may still be at work). With ``report`` also ``reports``, of the hosts that succeeded.
    ``options``: those of `send`.
    """
    result["unfinished"] = list(instance_ids)
    sent = None
    for earlier, command in running(ssm, document, instance_ids):
        if asks_the_same(command, instance_ids, parameters):
            sent = earlier
        elif busy := _not_ended(_statuses(ssm, earlier.command_id), instance_ids):
            wait(ssm, earlier.command_id, busy, earlier.seconds)
    if sent is None:
        try:
            sent = send(ssm, document, instance_ids, parameters, **options)
        except AWS_ERRORS as error:
            if error_code(error) and not is_transient(error):  # refused; else it is not known whether it began
                result["unfinished"] = []
            raise
    result["changed"], result["command_id"] = True, sent.command_id
    result["invocations"] = wait(
        ssm, sent.command_id, instance_ids, sent.seconds if wait_seconds is None else wait_seconds
    )
    result["unfinished"] = unfinished(result["invocations"])
    failed = failures(result["invocations"])
    if report:
        result["reports"], odd = reports(result["invocations"])
        failed += odd
    if failed:
        raise UserError(f"command {sent.command_id} failed on {'; '.join(failed)}")


def _not_ended(statuses: Mapping[str, str], instance_ids: Sequence[str]) -> list[str]:
    return [i for i in instance_ids if i in statuses and statuses[i] not in ENDED]


def wait(ssm: Any, command_id: str, instance_ids: Sequence[str], seconds: float) -> dict[str, Invocation]:
    """Wait until the command has ended on every host; returns instance id → invocation.

    A command that is out of time is cancelled; UserError says what became of it.
    """
    ended = f"command {command_id} ended on {', '.join(instance_ids)}"
    try:
        _wait_ended(ssm, command_id, instance_ids, ended, seconds)
    except WaitTimeoutError as error:
        raise UserError(f"{error}; {_cancel(ssm, command_id, instance_ids)}") from error
    # Not to lose the outcome of an hour to an answer that is throttled, or older than the one that said the end.
    return wait_for(
        f"outcome of command {command_id}",
        lambda: {instance_id: _invocation(ssm, command_id, instance_id) for instance_id in instance_ids},
        lambda seen: all(invocation["status"] in ENDED for invocation in seen.values()),
        READ_SECONDS,
        new_seconds=READ_SECONDS,
    )


def _wait_ended(ssm: Any, command_id: str, instance_ids: Sequence[str], what: str, seconds: float) -> None:
    wait_for(
        what,
        lambda: _statuses(ssm, command_id),
        lambda seen: set(instance_ids) <= set(seen) and not _not_ended(seen, instance_ids),
        seconds,
    )


def _cancel(ssm: Any, command_id: str, instance_ids: Sequence[str]) -> str:
    """Cancel the command on the hosts; returns what became of that, in words."""
    try:
        ssm.cancel_command(CommandId=command_id, InstanceIds=list(instance_ids))
        _wait_ended(ssm, command_id, instance_ids, "command cancelled", CANCEL_SECONDS)
    except WaitTimeoutError as error:
        return f"it was cancelled then, but is still running ({error})"
    except AWS_ERRORS as error:
        return f"it could not be cancelled and may still be running: {error}"
    return "it was cancelled then"


def unfinished(invocations: Mapping[str, Invocation]) -> list[str]:
    """Hosts on which something of the command may still be at work.

    An agent that reports success or failure has seen the end. Given up or cancelled says only that nobody waits any more, unless no
    step had begun.
    """
    return sorted(
        instance_id
        for instance_id, result in invocations.items()
        if result["status"] not in ("Success", "Failed") and any(step["started"] for step in result["steps"])
    )


def reports(invocations: Mapping[str, Invocation]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Of the hosts that succeeded: instance id → the JSON object that is the last line of the last step's output, and a line for each
    whose last line is none."""
    found, odd = {}, []
    for instance_id, result in sorted(invocations.items()):
        if result["status"] != "Success":
            continue
        lines = result["steps"][-1]["stdout"].strip().splitlines() if result["steps"] else []
        try:
            report = json.loads(lines[-1] if lines else "")
        except ValueError:
            report = None
        if isinstance(report, dict):
            found[instance_id] = report
        else:
            shown = repr(lines[-1][-200:]) if lines else "no output"
            odd.append(f"{instance_id}: the last line of the output is no report (a JSON object): {shown}")
    return found, odd


def _statuses(ssm: Any, command_id: str) -> dict[str, str]:
    listed = paginate(ssm, "list_command_invocations", "CommandInvocations", CommandId=command_id)
    return {item["InstanceId"]: item["Status"] for item in listed}


def _invocation(ssm: Any, command_id: str, instance_id: str) -> Invocation:
    """A document of several steps has one output a step, so they are read step by step."""
    where = {"CommandId": command_id, "InstanceId": instance_id}
    found = paginate(ssm, "list_command_invocations", "CommandInvocations", Details=True, **where)
    if not found:
        return {"status": "not known yet", "details": "", "steps": []}
    listed = found[0]
    steps = [{"PluginName": plugin["Name"]} for plugin in listed["CommandPlugins"]] or [{}]
    return {
        "status": listed["Status"],
        "details": listed["StatusDetails"],
        "steps": [_step(ssm.get_command_invocation(**where, **step)) for step in steps],
    }


def _step(read: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": read["PluginName"],
        "status": read["Status"],
        "response_code": read["ResponseCode"],
        "started": read.get("ExecutionStartDateTime") or "",
        "stdout": read["StandardOutputContent"],
        "stderr": read["StandardErrorContent"],
    }


def failures(invocations: Mapping[str, Invocation]) -> list[str]:
    """One line a host that did not succeed: the first step that failed with the end of its output."""
    lines = []
    for instance_id, result in sorted(invocations.items()):
        if result["status"] == "Success":
            continue
        bad = next((s for s in result["steps"] if s["status"] not in ("Success", "Pending", "InProgress")), None)
        output = (bad["stderr"].strip() or bad["stdout"].strip())[-TAIL_CHARACTERS:] if bad else ""
        where = f" in step {bad['name']} (exit code {bad['response_code']})" if bad else ""
        lines.append(f"{instance_id}: {result['details']}{where}: {output or 'no output'}")
    return lines


def run_script(ssm: Any, instance_id: str, what: str, script: str, seconds: int) -> str:
    """Run a script on the host as root; returns its output, of which there are at most 24,000 characters. Raises UserError."""
    parameters = {
        "commands": script.strip().splitlines(),
        "executionTimeout": [str(max(seconds, LEAST_EXECUTION_SECONDS))],
    }
    sent = send(ssm, "AWS-RunShellScript", [instance_id], parameters, comment=what, delivery_seconds=max(seconds, 30))
    ended = wait(ssm, sent.command_id, [instance_id], seconds + 15)
    if failed := failures(ended):
        raise UserError(f"{what} failed on {failed[0]}")
    return str(ended[instance_id]["steps"][-1]["stdout"])


def wait_online(ssm: Any, instance_ids: Sequence[str], seconds: float) -> dict[str, str]:
    """Wait until the agents of all hosts are online; returns instance id → version of the agent. Raises WaitTimeoutError."""
    seen = wait_for(
        f"Systems Manager's agent online on {', '.join(instance_ids)}",
        lambda: _agents(ssm, instance_ids),
        lambda agents: all(agent["PingStatus"] == ONLINE for agent in agents.values()),
        seconds,
        describe=_describe_offline,
    )
    return {instance_id: agent.get("AgentVersion", "") for instance_id, agent in seen.items()}


def online(ssm: Any, instance_ids: Sequence[str], seconds: float) -> tuple[dict[str, str], dict[str, str]]:
    """What `wait_online` returns for the hosts that are online in time, and instance id → ping status of the others."""
    try:
        return wait_online(ssm, instance_ids, seconds), {}
    except WaitTimeoutError:
        agents = _agents(ssm, instance_ids)
    states = {instance_id: agent["PingStatus"] for instance_id, agent in agents.items()}
    versions = {i: agents[i].get("AgentVersion", "") for i, state in states.items() if state == ONLINE}
    return versions, {i: state for i, state in states.items() if state != ONLINE}


def _agents(ssm: Any, instance_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    known = {}
    for start in range(0, len(instance_ids), FILTER_VALUES):
        named = [{"Key": "InstanceIds", "Values": list(instance_ids[start : start + FILTER_VALUES])}]
        found = paginate(ssm, "describe_instance_information", "InstanceInformationList", Filters=named)
        known.update({item["InstanceId"]: item for item in found})
    return {instance_id: known.get(instance_id, {"PingStatus": NEVER}) for instance_id in instance_ids}


def _describe_offline(agents: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{i} is {agent['PingStatus']}" for i, agent in agents.items() if agent["PingStatus"] != ONLINE)
