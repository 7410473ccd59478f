"""The meaning of a command document, schema 1.2 and 2.2: steps, parameters, preconditions, and what a step's end does to the other steps.

After the AWS Systems Manager User Guide, "Data elements and parameters" and "Command document plugin reference" (shared inputs), and what
the real agent (3.3) does where they are silent.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

PLATFORM = "linux"
LEAVE_AS_SUCCESS, LEAVE_AS_FAILURE = 168, 169
"""Exit codes of a script that end the document."""
SKIPPED = "Further document steps will be skipped."
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


@dataclass(frozen=True)
class Step:
    name: str
    action: str
    inputs: dict[str, Any]
    precondition: Any = None
    """As written."""
    resolved: Any = None
    """The precondition with the parameters' values."""

    @property
    def folder(self) -> str:
        """The part of an output's S3 key that tells steps apart: the property's id in schema 1.2, else the name."""
        return str(self.inputs.get("id") or self.name)

    @property
    def is_final(self) -> bool:
        """finallyStep: runs whatever came before, if it is the last one."""
        return self.inputs.get("finallyStep") in (True, "true")


def steps_of(content: dict[str, Any], parameters: dict[str, Any]) -> list[Step]:
    """The steps with every `{{ parameter }}` replaced. Raises ValueError for a schema that this agent does not know."""
    version = str(content.get("schemaVersion"))
    if version == "2.2":
        raw = [(s["name"], s["action"], s.get("inputs") or {}, s.get("precondition")) for s in content["mainSteps"]]
    elif version == "1.2":
        raw = [
            (action, action, properties, None)
            for action, plugin in content["runtimeConfig"].items()
            for properties in plugin["properties"]
        ]
    else:
        raise ValueError(f"Document with schema version {version} is not supported by this agent")
    return [
        Step(name, action, fill(inputs, parameters), when, fill(when, parameters)) for name, action, inputs, when in raw
    ]


def fill(value: Any, parameters: dict[str, Any]) -> Any:
    """Replaces references. A string that is nothing but a reference becomes the parameter's value in its own type, in a list too."""
    if isinstance(value, dict):
        return {key: fill(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, parameters) for item in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole and whole[1] in parameters:
        return parameters[whole[1]]
    return _REFERENCE.sub(lambda m: _text(parameters[m[1]]) if m[1] in parameters else m[0], value)


def _text(value: Any) -> str:
    """Within a text. `$$` becomes `$`, for scripts that worked around an old error of the agent's."""
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).replace("$$", "$")


def unmet(step: Step) -> str:
    """The precondition that is not met here, as text; empty when the step may run. ValueError: not a precondition."""
    if not step.precondition:
        return ""
    if set(step.precondition) != {"StringEquals"}:
        raise ValueError(f'unrecognized operator: "{next(iter(step.precondition))}"')
    operands, resolved = step.precondition["StringEquals"], step.resolved["StringEquals"]
    if not isinstance(operands, list) or len(operands) != 2:
        raise ValueError('"StringEquals": operator accepts exactly 2 arguments')
    if operands[0] == operands[1]:
        raise ValueError("\"StringEquals\": operator's arguments can't be identical")
    if "platformType" in operands:
        met = str(operands[1 - operands.index("platformType")]).lower() == PLATFORM
    elif operands == resolved:
        raise ValueError(
            '"StringEquals": at least one of operator\'s arguments must contain a valid document parameter'
        )
    else:
        met = resolved[0] == resolved[1]
    return "" if met else f'"StringEquals": [{operands[0]}, {operands[1]}]'


def shown(step: Step, status: str, code: int) -> tuple[str, int, str]:
    """Status and code that a script's end counts as, and what the agent adds to its output."""
    if code == LEAVE_AS_SUCCESS:
        return "Success", code, f"\nStep exited with code {code}. Therefore, marking step as succeeded. {SKIPPED}"
    if code == LEAVE_AS_FAILURE:
        return status, code, f"\nStep exited with code {code}. Therefore, marking step as Failed. {SKIPPED}"
    if status == "Failed" and step.inputs.get("onFailure") in ("exit", "successAndExit"):
        added = f"\nStep was found to have onFailure property. {SKIPPED}"
        if step.inputs["onFailure"] == "successAndExit":
            return "Success", LEAVE_AS_SUCCESS, added
        return status, code, added
    return status, code, ""


def leaves(step: Step, status: str, code: int) -> bool:
    """Whether the document ends after this step (but for its finallyStep), by what it counts as. A step out of time ends nothing."""
    if code in (LEAVE_AS_SUCCESS, LEAVE_AS_FAILURE):
        return True
    flow = {"Failed": "onFailure", "Success": "onSuccess"}.get(status)
    return flow is not None and step.inputs.get(flow) == "exit"


def document_status(statuses: list[str]) -> str:
    """Of all steps together, worst first."""
    for worst in ("SuccessAndReboot", "Failed", "TimedOut", "Cancelled", "InProgress"):
        if worst in statuses:
            return worst
    return "Success"
