"""Commands, invocations and managed instances in the shapes of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lab.cloud.ssm.command_records import NOT_ENDED, Command, Invocation, StepResult
from lab.cloud.ssm.run_command import Managed

NO_LOGS = {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False}
LIST_CHARACTERS = 2500
STDOUT_CHARACTERS = 24000
STDERR_CHARACTERS = 8000


def command(c: Command) -> dict[str, Any]:
    """A Command."""
    status, details = c.status
    ended = [i for i in c.invocations.values() if i.ended]
    return {
        "CommandId": c.command_id,
        "DocumentName": c.document_name,
        "DocumentVersion": c.document_version,
        "Comment": c.request.get("Comment", ""),
        "ExpiresAfter": _time(c.expires_at),
        "Parameters": c.request.get("Parameters") or {},
        "InstanceIds": list(c.request.get("InstanceIds") or []),
        "Targets": c.request.get("Targets") or [],
        "RequestedDateTime": _time(c.requested_at),
        "Status": status,
        "StatusDetails": details,
        "OutputS3BucketName": c.request.get("OutputS3BucketName", ""),
        "OutputS3KeyPrefix": c.request.get("OutputS3KeyPrefix", ""),
        "MaxConcurrency": c.request.get("MaxConcurrency") or "50",
        "MaxErrors": c.request.get("MaxErrors") or "0",
        "TargetCount": len(c.invocations),
        "CompletedCount": len(ended),
        "ErrorCount": c.errors,
        "DeliveryTimedOutCount": sum(i.status[1] == "DeliveryTimedOut" for i in ended),
        "ServiceRole": "",
        "CloudWatchOutputConfig": NO_LOGS,
        "TimeoutSeconds": c.delivery_seconds,
    }


def invocation(c: Command, i: Invocation, *, details: bool) -> dict[str, Any]:
    """A CommandInvocation of ListCommandInvocations."""
    steps = [_plugin(c, i, step) for step in i.steps.values()] if details else []
    return {
        "CommandId": c.command_id,
        "InstanceId": i.instance_id,
        "InstanceName": i.computer_name,
        "Comment": c.request.get("Comment", ""),
        "DocumentName": c.document_name,
        "DocumentVersion": c.document_version,
        "RequestedDateTime": _time(c.requested_at),
        "Status": i.status[0],
        "StatusDetails": i.status[1],
        "TraceOutput": "",
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": steps,
        "ServiceRole": "",
        "CloudWatchOutputConfig": NO_LOGS,
    }


def _plugin(c: Command, i: Invocation, step: StepResult) -> dict[str, Any]:
    status, details = _step_status(i, step)
    return {
        "Name": step.name,
        "Status": status,
        "StatusDetails": details,
        "ResponseCode": step.code,
        "ResponseStartDateTime": _parsed(step.started),
        "ResponseFinishDateTime": _parsed(step.ended),
        "Output": step.output[:LIST_CHARACTERS],
        "StandardOutputUrl": s3_url(c, i, step, "stdout"),
        "StandardErrorUrl": s3_url(c, i, step, "stderr"),
        "OutputS3BucketName": c.request.get("OutputS3BucketName", ""),
        "OutputS3KeyPrefix": c.request.get("OutputS3KeyPrefix", ""),
    }


def _step_status(i: Invocation, step: StepResult) -> tuple[str, str]:
    """A step that was running when its invocation was given up shares its end."""
    return i.status if i.ended and step.status[0] in NOT_ENDED else step.status


def one_invocation(c: Command, i: Invocation, plugin_name: str | None) -> dict[str, Any]:
    """GetCommandInvocation. Without a name: the only step, or of several the outcome without output. KeyError: no such step."""
    names = [step.name for step in c.steps]
    if plugin_name is None and len(names) == 1:
        plugin_name = names[0]
    if plugin_name is not None and plugin_name not in names:
        raise KeyError(plugin_name)
    step = i.steps.get(plugin_name or "") or _whole(i, plugin_name or "")
    status, details = _step_status(i, step) if plugin_name else i.status
    return {
        "CommandId": c.command_id,
        "InstanceId": i.instance_id,
        "Comment": c.request.get("Comment", ""),
        "DocumentName": c.document_name,
        "DocumentVersion": c.document_version,
        "PluginName": step.name,
        "ResponseCode": step.code,
        "ExecutionStartDateTime": step.started,
        "ExecutionElapsedTime": _elapsed(step),
        "ExecutionEndDateTime": step.ended,
        "Status": status,
        "StatusDetails": details,
        "StandardOutputContent": step.stdout[:STDOUT_CHARACTERS],
        "StandardOutputUrl": s3_url(c, i, step, "stdout"),
        "StandardErrorContent": step.stderr[:STDERR_CHARACTERS],
        "StandardErrorUrl": s3_url(c, i, step, "stderr"),
        "CloudWatchOutputConfig": NO_LOGS,
    }


def _whole(i: Invocation, name: str) -> StepResult:
    """An invocation of which no step has begun, or all its steps together: the first code that is not zero."""
    codes = [step.code for step in i.steps.values() if step.code != 0]
    code = codes[0] if codes else (0 if i.steps else -1)
    started = min((s.started for s in i.steps.values() if s.started), default="")
    ended = max((s.ended for s in i.steps.values() if s.ended), default="") if i.ended else ""
    return StepResult(name, "", status=i.status, code=code, started=started, ended=ended)


def s3_url(c: Command, i: Invocation, step: StepResult, stream: str) -> str:
    """Where the agent has put the whole output, if the command names a bucket."""
    bucket = c.request.get("OutputS3BucketName")
    if not bucket or not step.action:
        return ""
    parts = [
        c.request.get("OutputS3KeyPrefix", ""),
        c.command_id,
        i.instance_id,
        step.action.replace(":", ""),
        step.folder or step.name,
        stream,
    ]
    return f"https://s3.amazonaws.com/{bucket}/" + "/".join(part.replace(":", "") for part in parts if part)


def instance_information(m: Managed, now: float) -> dict[str, Any]:
    """An InstanceInformation."""
    reported = m.information
    return {
        "InstanceId": m.instance_id,
        "PingStatus": "Online" if m.online(now) else "ConnectionLost",
        "LastPingDateTime": _time(m.last_ping),
        "AgentVersion": reported.get("AgentVersion", ""),
        "IsLatestVersion": True,
        "PlatformType": reported.get("PlatformType", ""),
        "PlatformName": reported.get("PlatformName", ""),
        "PlatformVersion": reported.get("PlatformVersion", ""),
        "RegistrationDate": _time(m.registered_at),
        "ResourceType": "EC2Instance",
        "IPAddress": reported.get("IPAddress", ""),
        "ComputerName": reported.get("ComputerName", ""),
        "SourceId": m.instance_id,
        "SourceType": "AWS::EC2::Instance",
    }


def page(items: Sequence[Any], token: str | None, size: int) -> tuple[Sequence[Any], str | None]:
    """One page and the token of the next. ValueError for a token that was never given out."""
    start = int(token) if token else 0
    if not 0 <= start <= len(items):
        raise ValueError(token)
    end = start + size
    return items[start:end], str(end) if end < len(items) else None


def matches(shown: Mapping[str, Any], filters: Sequence[Mapping[str, str]]) -> bool:
    """The filters of ListCommands and ListCommandInvocations (`key`, `value`). KeyError: no such filter."""
    tests = {
        "Status": lambda v: v in (shown["Status"], shown["StatusDetails"]),
        "DocumentName": lambda v: shown["DocumentName"] == v,
        "InvokedAfter": lambda v: shown["RequestedDateTime"] >= _parsed(v),
        "InvokedBefore": lambda v: shown["RequestedDateTime"] < _parsed(v),
        "ExecutionStage": lambda v: (v == "Executing") == (shown["Status"] in NOT_ENDED),
    }
    return all(tests[f["key"]](f["value"]) for f in filters)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _parsed(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _elapsed(step: StepResult) -> str:
    start, end = _parsed(step.started), _parsed(step.ended)
    return f"PT{(end - start).total_seconds():.3f}S" if start and end else ""
