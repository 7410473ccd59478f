"""Command documents: what CreateDocument accepts (schema 2.2) and how SendCommand's parameters meet them.

Rules from the AWS Systems Manager User Guide: "Data elements and parameters", "Command document plugin reference".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

LARGEST_CONTENT_BYTES = 64 * 1024
TOP_LEVEL = {"schemaVersion", "description", "parameters", "mainSteps"}
STEP_FIELDS = {"action", "name", "inputs", "precondition"}
PARAMETER_STORE = re.compile(r"\{\{\s*ssm(-secure)?:")
STEP_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
PARAMETER_NAME = re.compile(r"[A-Za-z0-9]{1,64}")
PARAMETER_TYPES = {"String", "StringList", "Integer", "Boolean", "StringMap", "MapList"}
PARAMETER_FIELDS = {
    "type", "description", "default", "allowedValues", "allowedPattern", "displayType", "minItems", "maxItems", "minChars", "maxChars",
}  # fmt: skip
LINUX_ACTIONS = {
    "aws:runShellScript", "aws:runDocument", "aws:downloadContent", "aws:configurePackage", "aws:softwareInventory",
    "aws:runDockerAction", "aws:updateSsmAgent", "aws:refreshAssociation", "aws:configureDocker",
}  # fmt: skip
WINDOWS_ACTIONS = {
    "aws:runPowerShellScript", "aws:applications", "aws:cloudWatch", "aws:domainJoin", "aws:psModule", "aws:configurePackage",
    "aws:downloadContent", "aws:runDocument", "aws:softwareInventory", "aws:updateSsmAgent", "aws:refreshAssociation",
}  # fmt: skip
FLOW = {"onFailure": {"exit", "successAndExit"}, "onSuccess": {"exit"}}

RUN_SHELL_SCRIPT: dict[str, Any] = {
    "schemaVersion": "1.2",
    "description": "Run a shell script or specify the commands to run.",
    "parameters": {
        "commands": {
            "type": "StringList",
            "description": "(Required) Specify a shell script or a command to run.",
            "minItems": 1,
            "displayType": "textarea",
        },
        "workingDirectory": {
            "type": "String",
            "default": "",
            "description": "(Optional) The path to the working directory on your instance.",
            "maxChars": 4096,
        },
        "executionTimeout": {
            "type": "String",
            "default": "3600",
            "description": "(Optional) The time in seconds for a command to complete before it is considered to have failed.",
            "allowedPattern": "([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)",
        },
    },
    "runtimeConfig": {
        "aws:runShellScript": {
            "properties": [
                {
                    "id": "0.aws:runShellScript",
                    "runCommand": "{{ commands }}",
                    "workingDirectory": "{{ workingDirectory }}",
                    "timeoutSeconds": "{{ executionTimeout }}",
                }
            ]
        }
    },
}
"""The one document of Amazon's that the lab has (AWS-RunShellScript), in the old schema that it really is in."""


class DocumentError(Exception):
    """The content of a document is not valid."""


class ParameterError(Exception):
    """The parameters of a command do not fit its document."""


@dataclass(frozen=True)
class Step:
    name: str
    """What the API calls PluginName."""
    action: str
    folder: str = ""
    """Its part of an output's S3 key, where that is not its name: the id of a plugin's properties in schema 1.2."""


def parse(content: str, document_format: str) -> dict[str, Any]:
    """The document as data. Raises DocumentError."""
    if len(content.encode()) > LARGEST_CONTENT_BYTES:
        raise DocumentError("The size limit of a document is 64 KB.")
    try:
        data = json.loads(content) if document_format == "JSON" else yaml.safe_load(content)
    except (ValueError, yaml.YAMLError) as error:
        raise DocumentError(f"{document_format} not well-formed. {error}") from error
    if not isinstance(data, dict):
        raise DocumentError("The document is not a mapping.")
    return data


def validate(data: Mapping[str, Any]) -> None:
    """Raises DocumentError for the first rule that a command document breaks."""
    version = data.get("schemaVersion")
    if version != "2.2":
        raise DocumentError(f"schemaVersion is {version!r}; the lab runs command documents of schema version '2.2'.")
    _only(TOP_LEVEL, data, "document")
    parameters = data.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise DocumentError("parameters is not a mapping.")
    for name, parameter in parameters.items():
        validate_parameter(name, parameter)
    if PARAMETER_STORE.search(json.dumps(data, default=str)):
        raise DocumentError(
            "The lab does not resolve {{ssm:…}} references: pass the value as a parameter of the command."
        )
    steps = data.get("mainSteps")
    if not isinstance(steps, list) or not steps:
        raise DocumentError("mainSteps is missing or empty.")
    names = [_validate_step(step) for step in steps]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise DocumentError(f"Step name {repeated.pop()} is not unique.")
    if any((step.get("inputs") or {}).get("finallyStep") for step in steps[:-1]):
        raise DocumentError("finallyStep is only possible in the last step.")


def _only(known: set[str], data: Mapping[str, Any], where: str) -> None:
    if unknown := set(data) - known:
        raise DocumentError(f"Unknown element {sorted(unknown)[0]!r} in {where}.")


def validate_parameter(name: str, parameter: Any) -> None:
    if not PARAMETER_NAME.fullmatch(str(name)) or not isinstance(parameter, dict):
        raise DocumentError(
            f"Parameter {name!r} is not valid: a name of letters and digits with a mapping is expected."
        )
    _only(PARAMETER_FIELDS, parameter, f"parameter {name}")
    if parameter.get("type") not in PARAMETER_TYPES:
        raise DocumentError(
            f"Parameter {name} has type {parameter.get('type')!r}, not one of {sorted(PARAMETER_TYPES)}."
        )
    try:
        re.compile(parameter.get("allowedPattern", ""))
    except re.error as error:
        raise DocumentError(f"allowedPattern of parameter {name}: {error}") from error
    if "default" in parameter:
        try:
            check_value(name, parameter, parameter["default"])
        except ParameterError as error:
            raise DocumentError(f"The default is not valid: {error}") from error


def _validate_step(step: Any) -> str:
    """Its name."""
    if not isinstance(step, dict):
        raise DocumentError("A step of mainSteps is not a mapping.")
    name, action = step.get("name"), step.get("action")
    if not isinstance(name, str) or not STEP_NAME.fullmatch(name):
        raise DocumentError(f"Step name {name!r} is not valid: 1 to 128 letters, digits, '_' and '-'.")
    _only(STEP_FIELDS, step, f"step {name}")
    if action not in LINUX_ACTIONS | WINDOWS_ACTIONS:
        raise DocumentError(f"Step {name} has the unknown action {action!r}.")
    inputs = step.get("inputs")
    if not isinstance(inputs, dict):
        raise DocumentError(f"Step {name} has no inputs.")
    if action in ("aws:runShellScript", "aws:runPowerShellScript") and not inputs.get("runCommand"):
        raise DocumentError(f"Step {name}: the input runCommand is required.")
    for field, values in FLOW.items():
        if inputs.get(field) not in (None, *values):
            raise DocumentError(f"Step {name}: {field} is {inputs[field]!r}, not one of {sorted(values)}.")
    _validate_precondition(name, step.get("precondition"))
    return name


def _validate_precondition(name: str, precondition: Any) -> None:
    if precondition is None:
        return
    operands = precondition.get("StringEquals") if isinstance(precondition, dict) and len(precondition) == 1 else None
    if not isinstance(operands, list) or len(operands) != 2 or not all(isinstance(o, str) for o in operands):
        raise DocumentError(f"Step {name}: a precondition is StringEquals with a list of two strings.")


def platforms(data: Mapping[str, Any]) -> list[str]:
    """PlatformTypes as the API shows them: where every step's action exists, or at least one behind a precondition."""
    found = []
    for platform, actions in (("Windows", WINDOWS_ACTIONS), ("Linux", LINUX_ACTIONS)):
        if any(step.action in actions and _runs_on(platform, data, step) for step in steps_of(data)):
            found.append(platform)
    return found


def _runs_on(platform: str, data: Mapping[str, Any], step: Step) -> bool:
    whole: Mapping[str, Any] = next((s for s in data.get("mainSteps", []) if s["name"] == step.name), {})
    operands = (whole.get("precondition") or {}).get("StringEquals", ["platformType", platform])
    return platform in operands or not {"Windows", "Linux", "MacOS"} & set(operands)


def steps_of(data: Mapping[str, Any]) -> list[Step]:
    """The steps of a document of schema 2.2, or of the plugins of schema 1.2."""
    if "mainSteps" in data:
        return [Step(step["name"], step["action"]) for step in data["mainSteps"]]
    plugins = data["runtimeConfig"].items()
    return [Step(name, name, str(plugin["properties"][0].get("id", ""))) for name, plugin in plugins]


def resolve_parameters(data: Mapping[str, Any], given: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The value of every parameter: given or default, in its own type. Raises ParameterError as SendCommand would."""
    declared: Mapping[str, Any] = data.get("parameters") or {}
    if unknown := set(given) - set(declared):
        raise ParameterError(f"Parameter {sorted(unknown)[0]} is not defined in the document.")
    if any(PARAMETER_STORE.search(text) for texts in given.values() for text in texts):
        raise ParameterError("The lab does not resolve {{ssm:…}} references: pass the value itself.")
    values = {}
    for name, parameter in declared.items():
        if name in given:
            value = _from_request(name, parameter["type"], given[name])
        elif "default" in parameter:
            value = parameter["default"]
        else:
            raise ParameterError(f"Parameter {name} is required.")
        check_value(name, parameter, value)
        values[name] = value
    return values


def _from_request(name: str, kind: str, texts: Sequence[str]) -> Any:
    """SendCommand passes every value as a list of strings."""
    if kind == "StringList":
        return list(texts)
    if len(texts) != 1:
        raise ParameterError(f"Parameter {name} takes one value, not {len(texts)}.")
    text = texts[0]
    if kind == "String":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        raise ParameterError(f"Parameter {name} is of type {kind}; {text!r} is not.") from None
    expected = {"Integer": int, "Boolean": bool, "StringMap": dict, "MapList": list}[kind]
    if not isinstance(value, expected) or (kind == "Integer" and isinstance(value, bool)):
        raise ParameterError(f"Parameter {name} is of type {kind}; {text!r} is not.")
    return value


def check_value(name: str, parameter: Mapping[str, Any], value: Any) -> None:
    """Raises ParameterError unless the value keeps the parameter's limits."""
    items = value if isinstance(value, list) else [value]
    texts = [str(item) if not isinstance(item, dict) else json.dumps(item) for item in items]
    allowed = parameter.get("allowedValues")
    pattern = parameter.get("allowedPattern")
    for item, text in zip(items, texts, strict=True):
        if allowed and item not in allowed and text not in [str(a) for a in allowed]:
            raise ParameterError(f"Parameter {name} is {text!r}, not one of the allowed values {allowed}.")
        if pattern and not re.search(f"^(?:{pattern})$", text):
            raise ParameterError(f"Parameter {name} is {text!r}, which does not match the allowed pattern {pattern}.")
        if not int(parameter.get("minChars", 0)) <= len(text) <= int(parameter.get("maxChars", 10**9)):
            raise ParameterError(f"Parameter {name} has {len(text)} characters, outside of minChars and maxChars.")
    if isinstance(value, list) and not int(parameter.get("minItems", 0)) <= len(value) <= int(
        parameter.get("maxItems", 10**9)
    ):
        raise ParameterError(f"Parameter {name} has {len(value)} items, outside of minItems and maxItems.")


def execution_seconds(data: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """How long all steps may run together: the sum of their timeoutSeconds, 3600 where the agent takes none."""
    total = 0
    raw = data.get("mainSteps") or [{"inputs": p["properties"][0]} for p in data.get("runtimeConfig", {}).values()]
    for step in raw:
        text = str((step.get("inputs") or {}).get("timeoutSeconds", 3600))
        if reference := re.fullmatch(r"\{\{\s*([A-Za-z0-9]+)\s*\}\}", text):
            text = str(values.get(reference[1], 3600))
        total += int(text) if text.isdigit() and 5 <= int(text) <= 172_800 else 3600
    return total
