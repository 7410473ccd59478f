"""Session documents (schema 1.0): what CreateDocument accepts, Amazon's own, and what StartSession makes of one.

Rules from the AWS Systems Manager User Guide: "Session document schema", "Specify an idle session timeout value", "Specify maximum session
duration".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lab.cloud.ssm import documents
from lab.cloud.ssm.documents import DocumentError

SessionType = Literal["Port", "Standard_Stream"]

SHELL = "SSM-SessionManagerRunShell"
"""The account's own document of preferences, and the one that a session without a document's name has."""
SSH = "AWS-StartSSHSession"
TOP_LEVEL = {"schemaVersion", "description", "sessionType", "inputs", "parameters", "properties"}
INPUTS = {
    "s3BucketName", "s3KeyPrefix", "s3EncryptionEnabled", "cloudWatchLogGroupName", "cloudWatchEncryptionEnabled",
    "cloudWatchStreamingEnabled", "kmsKeyId", "runAsEnabled", "runAsDefaultUser", "idleSessionTimeout", "maxSessionDuration",
    "shellProfile",
}  # fmt: skip
NOT_DONE = ("s3BucketName", "cloudWatchLogGroupName", "kmsKeyId")
MINUTES = {"idleSessionTimeout": (1, 60), "maxSessionDuration": (1, 1440)}
DEFAULT_IDLE_MINUTES = 20
PORT_PROPERTIES = {"portNumber", "type"}

AMAZON_DOCUMENTS: Mapping[str, Mapping[str, Any]] = {
    SSH: {
        "schemaVersion": "1.0",
        "description": "Document to start an SSH session over Session Manager",
        "sessionType": "Port",
        "parameters": {
            "portNumber": {
                "type": "String",
                "description": "(Optional) Port number of SSH server on the instance",
                "allowedPattern": "^([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
                "default": "22",
            }
        },
        "properties": {"portNumber": "{{ portNumber }}"},
    }
}
PREFERENCES: Mapping[str, Any] = {
    "schemaVersion": "1.0",
    "description": "Document to hold regional settings for Session Manager",
    "sessionType": "Standard_Stream",
    "inputs": {},
}
"""What holds for an account that has saved no preferences."""


@dataclass(frozen=True)
class SessionPlan:
    """What a session does: of its document, with the parameters' values."""

    session_type: SessionType
    properties: Mapping[str, Any]
    idle_minutes: int
    longest_minutes: int | None
    run_as: str
    """The user of a shell; empty for the agent's own (`ssm-user`)."""
    shell_profile: str
    """What is typed into a shell first."""

    @property
    def port(self) -> int:
        return int(self.properties["portNumber"])


def validate(data: Mapping[str, Any]) -> None:
    """Raises DocumentError for the first rule that a session document breaks."""
    if data.get("schemaVersion") != "1.0":
        raise DocumentError(f"schemaVersion is {data.get('schemaVersion')!r}; a session document has '1.0'.")
    _only(TOP_LEVEL, data, "document")
    for name, parameter in _mapping(data, "parameters").items():
        documents.validate_parameter(name, parameter)
    kind = data.get("sessionType")
    if kind not in ("Port", "Standard_Stream"):
        raise DocumentError(f"sessionType is {kind!r}; the lab has sessions of the types Port and Standard_Stream.")
    _validate_inputs(_mapping(data, "inputs"))
    properties = _mapping(data, "properties")
    if kind == "Port":
        _only(PORT_PROPERTIES, properties, "properties")
        if properties.get("type"):
            raise DocumentError(f"The lab's port sessions have no type {properties['type']!r}.")
        if not properties.get("portNumber"):
            raise DocumentError("properties of a session of type Port need portNumber.")
    elif properties:
        raise DocumentError(f"The lab's sessions of type {kind} take no properties.")


def _validate_inputs(inputs: Mapping[str, Any]) -> None:
    _only(INPUTS, inputs, "inputs")
    for name in NOT_DONE:
        if inputs.get(name):
            raise DocumentError(f"The lab's sessions do not do {name}.")
    for name, (least, most) in MINUTES.items():
        value = str(inputs.get(name) or least)
        if not re.fullmatch(r"[1-9][0-9]{0,3}", value) or not least <= int(value) <= most:
            raise DocumentError(f"{name} is {value!r}, not a number of minutes from {least} to {most}.")
    if inputs.get("runAsEnabled") and not inputs.get("runAsDefaultUser"):
        raise DocumentError("runAsEnabled needs runAsDefaultUser: the lab has no tags of callers.")
    _only({"linux", "windows"}, _mapping(inputs, "shellProfile"), "shellProfile")


def plan(data: Mapping[str, Any], given: Mapping[str, Sequence[str]]) -> SessionPlan:
    """Raises documents.ParameterError for parameters that do not fit."""
    values = documents.resolve_parameters(data, given)
    inputs = data.get("inputs") or {}
    properties = {name: _filled(value, values) for name, value in (data.get("properties") or {}).items()}
    if data["sessionType"] == "Port" and not re.fullmatch(r"[1-9][0-9]{0,4}", str(properties["portNumber"])):
        raise documents.ParameterError(f"portNumber is {properties['portNumber']!r}, not a port.")
    longest = inputs.get("maxSessionDuration")
    return SessionPlan(
        session_type=data["sessionType"],
        properties=properties,
        idle_minutes=int(inputs.get("idleSessionTimeout") or DEFAULT_IDLE_MINUTES),
        longest_minutes=int(longest) if longest else None,
        run_as=str(inputs["runAsDefaultUser"]) if inputs.get("runAsEnabled") else "",
        shell_profile=str((inputs.get("shellProfile") or {}).get("linux") or ""),
    )


def _filled(value: Any, values: Mapping[str, Any]) -> str:
    return re.sub(r"\{\{\s*([A-Za-z0-9]+)\s*\}\}", lambda found: str(values.get(found[1], found[0])), str(value))


def _only(known: set[str], data: Mapping[str, Any], where: str) -> None:
    if unknown := set(data) - known:
        raise DocumentError(f"Unknown element {sorted(unknown)[0]!r} in {where}.")


def _mapping(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name) or {}
    if not isinstance(value, dict):
        raise DocumentError(f"{name} is not a mapping.")
    return value
