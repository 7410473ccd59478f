"""ssm-document-worker: runs the steps of one command and writes every change into its state file. Knows nothing of messages."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ssm_standin import document, shell
from ssm_standin.aws import AwsError, Client, Metadata
from ssm_standin.paths import DATA, boot_id
from ssm_standin.state import CommandState, StepState, Store, now, save

MOST_RUNS = 3
"""How often a step is begun again after the machine went down under it."""
STDOUT_CHARACTERS = 24000
STDERR_CHARACTERS = 8000
TRUNCATED = "\n---Output truncated---"


class Worker:
    def __init__(self, store: Store, command_id: str) -> None:
        self.store = store
        self.path = store.path(command_id)
        self.state = store.load(command_id)

    def run(self) -> None:
        """Goes on where the state says; returns when the document has ended or has asked for a reboot."""
        state = self.state
        try:
            steps = document.steps_of(state.document, state.parameters)
        except (KeyError, TypeError, ValueError) as error:
            state.steps = [
                StepState("document", "", "Failed", 1, stderr=f"The document can't be read: {error}", ended=now())
            ]
            self._finish()
            return
        if not state.steps:
            state.steps = [StepState(step.name, step.action) for step in steps]
        for step, result in zip(steps, state.steps, strict=True):
            if result.ended:
                continue
            if not self._step(step, result):
                return
        self._finish()

    def _step(self, step: document.Step, result: StepState) -> bool:
        """False when the machine has to reboot first."""
        state = self.state
        if self._cancelled():
            self._end(result, "Cancelled", shell.STOPPED)
            return True
        if state.leaving and not step.is_final:
            self._end(result, "Skipped", 0)
            return True
        if refusal := self._refusal(step):
            self._end(result, *refusal)
        else:
            result.runs += 1
            result.status, result.started = "InProgress", result.started or now()
            state.reboot = ""
            save(state, self.path)
            ended = self._script(step, result)
            if ended.status == "Rebooting":
                result.runs -= 1
                state.reboot = boot_id()
                save(state, self.path)
                return False
            self._end(result, document.shown_status(step, ended.status), ended.code, ended.note)
            state.leaving = state.leaving or document.leaves(step, ended.status)
        return True

    def _refusal(self, step: document.Step) -> tuple[str, int, str] | None:
        """Why a step does not run: status, code and what is said of it."""
        try:
            unmet = document.unmet(step)
        except ValueError as error:
            return "Failed", 1, str(error)
        if unmet:
            return (
                "Skipped",
                0,
                f"Step execution skipped due to unsatisfied preconditions: '{unmet}'. Step name: {step.name}",
            )
        if step.action != "aws:runShellScript":
            return (
                "Failed",
                1,
                f"Plugin with name {step.action} is not supported by this agent (a stand-in). Step name: {step.name}",
            )
        if self.state.steps and next(s for s in self.state.steps if s.name == step.name).runs >= MOST_RUNS:
            return "Failed", 1, f"The machine went down {MOST_RUNS} times while step {step.name} ran"
        return None

    def _script(self, step: document.Step, result: StepState) -> shell.Ended:
        directory = self.store.orchestration / self.state.command_id / step.name.replace(":", "")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = {"AWS_SSM_INSTANCE_ID": self.state.instance_id, "AWS_SSM_REGION_NAME": self.state.region}
        try:
            ended = shell.run_script(step.inputs, directory, environment, self._cancelled)
        except OSError as error:
            ended = shell.Ended("Failed", 1, f"failed to run commands: {error}")
        result.stdout = read_limited(directory / "stdout", STDOUT_CHARACTERS)
        result.stderr = read_limited(directory / "stderr", STDERR_CHARACTERS)
        if self.state.bucket and ended.status != "Rebooting":
            self._upload(step, directory)
        return ended

    def _upload(self, step: document.Step, directory: Path) -> None:
        """The whole output to S3. As with the real agent, a failure is in the log and does not fail the step."""
        client = Client(self.state.region, Metadata())
        parts = [self.state.prefix, self.state.command_id, self.state.instance_id, step.action, step.name]
        key = "/".join(part.replace(":", "") for part in parts if part)
        for stream in ("stdout", "stderr"):
            content = (directory / stream).read_bytes() if (directory / stream).exists() else b""
            try:
                if content:
                    client.put_object(self.state.bucket, f"{key}/{stream}", content)
            except AwsError as error:
                print(f"output of {self.state.command_id} to s3://{self.state.bucket}/{key}: {error}", file=sys.stderr)

    def _end(self, result: StepState, status: str, code: int, note: str = "") -> None:
        result.status, result.code, result.ended = status, code, now()
        if note and status in ("Skipped", "Success"):
            result.stdout += note
        elif note:
            result.stderr = f"{result.stderr.rstrip()}\n{note}".lstrip()
        save(self.state, self.path)

    def _finish(self) -> None:
        self.state.finished = True
        save(self.state, self.path)

    def _cancelled(self) -> bool:
        return self.store.cancel_path(self.state.command_id).exists()


def read_limited(path: Path, characters: int) -> str:
    if not path.exists():
        return ""
    with path.open(encoding="utf-8", errors="replace") as content:
        text = content.read(characters + 1)
    return text if len(text) <= characters else text[: characters - len(TRUNCATED)] + TRUNCATED


def main(argv: list[str]) -> int:
    """Arguments: the instance's id and the command's id. It outlives the agent; only a shutdown of the machine ends it early."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    instance_id, command_id = argv
    store = Store(DATA, instance_id)
    with store.work_on(command_id) as mine:
        if mine:
            Worker(store, command_id).run()
    return 0


def new_state(message_id: str, instance_id: str, region: str, payload: dict[str, object]) -> CommandState:
    """The state of a command as it arrives. Raises KeyError for a message that lacks something."""
    content, parameters = payload["DocumentContent"], payload.get("Parameters") or {}
    if not isinstance(content, dict) or not isinstance(parameters, dict):
        raise KeyError("DocumentContent")
    return CommandState(
        message_id=message_id,
        command_id=str(payload["CommandId"]),
        instance_id=instance_id,
        region=region,
        document=content,
        parameters=parameters,
        bucket=str(payload.get("OutputS3BucketName") or ""),
        prefix=str(payload.get("OutputS3KeyPrefix") or ""),
    )
