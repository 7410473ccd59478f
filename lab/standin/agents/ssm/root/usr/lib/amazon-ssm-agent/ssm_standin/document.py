"""The meaning of a command document, schema 1.2 and 2.2: steps, parameters, preconditions, and what a step's end does to the rest.

After the AWS Systems Manager User Guide: "Data elements and parameters", "Command document plugin reference" (shared inputs).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

PLATFORM = "Linux"
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


@dataclass(frozen=True)
class Step:
    name: str
    action: str
    inputs: dict[str, Any]
    precondition: Any = None

    @property
    def is_final(self) -> bool:
        """finallyStep: runs whatever came before."""
        return str(self.inputs.get("finallyStep", "")).lower() == "true"


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
    return [Step(name, action, fill(inputs, parameters), fill(when, parameters)) for name, action, inputs, when in raw]


def fill(value: Any, parameters: dict[str, Any]) -> Any:
    """Replaces references. A string that is nothing but a reference becomes the parameter's value in its own type."""
    if isinstance(value, dict):
        return {key: fill(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        filled: list[Any] = []
        for item in value:
            new = fill(item, parameters)
            filled.extend(new if isinstance(new, list) and not isinstance(item, list) else [new])
        return filled
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value.strip())
    if whole and whole[1] in parameters:
        return parameters[whole[1]]
    return _REFERENCE.sub(lambda m: _text(parameters[m[1]]) if m[1] in parameters else m[0], value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def unmet(step: Step) -> str:
    """The precondition that does not hold here, as text; empty when the step may run. ValueError: not a precondition."""
    if not step.precondition:
        return ""
    operands = step.precondition.get("StringEquals") if len(step.precondition) == 1 else None
    if not isinstance(operands, list) or len(operands) != 2:
        raise ValueError(f"Unrecognized precondition(s): {json.dumps(step.precondition)}")
    left, right = (PLATFORM if operand == "platformType" else str(operand) for operand in operands)
    return "" if left == right else f'"StringEquals": [{operands[0]}, {operands[1]}]'


def leaves(step: Step, status: str) -> bool:
    """Whether the document ends after this step (but for its finallyStep)."""
    if status == "Success":
        return step.inputs.get("onSuccess") == "exit"
    return step.inputs.get("onFailure") in ("exit", "successAndExit")


def shown_status(step: Step, status: str) -> str:
    """onFailure successAndExit: a failed step is reported as successful."""
    return "Success" if status == "Failed" and step.inputs.get("onFailure") == "successAndExit" else status


def document_status(statuses: list[str]) -> str:
    """Of all steps together, worst first."""
    for worst in ("Cancelled", "TimedOut", "Failed", "InProgress"):
        if worst in statuses:
            return worst
    return "Success"
