"""The stand-in SSM agent's programs in this process, and a place for its state."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2] / "lab/standin/agents/ssm"
LIBRARY = PACKAGE / "root/usr/lib/amazon-ssm-agent"


@contextmanager
def imported() -> Iterator[ModuleType]:
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


def ends(reply: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {name: (step["status"], step["code"]) for name, step in reply["runtimeStatus"].items()}
