"""ssm-document-worker: runs the steps of one command and writes every change into its state file. Knows nothing of messages."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ssm_standin import document, output, shell
from ssm_standin.aws import AwsError, Client, Metadata
from ssm_standin.host import os_release
from ssm_standin.paths import DATA
from ssm_standin.state import CommandState, StepState, Store, now, save

MOST_RUNS = 15
"""How often a step is begun, after reboots too."""
RUN_SHELL_SCRIPT = "aws:runShellScript"


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
            text = f"The document can't be read: {error}"
            state.steps = [StepState("document", "", "Failed", 1, output=text, stderr=text, ended=now())]
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
        if refusal := self._refusal(step, result):
            self._end(result, *refusal)
            return True
        if self._cancelled():
            self._end(result, "Cancelled", 1)
            return True
        result.runs += 1
        result.status, result.code, result.started = "InProgress", -1, result.started or now()
        state.reboot = False
        save(state, self.path)
        status, code = self._script(step, result)
        if status == "SuccessAndReboot":
            result.status, result.code, state.reboot = status, code, True
            save(state, self.path)
            return False
        state.leaving = state.leaving or document.leaves(step, status, code)
        self._end(result, status, code, result.output)
        return True

    def _refusal(self, step: document.Step, result: StepState) -> tuple[str, int, str] | None:
        """Why a step does not run: status, code and output."""
        named = f"Plugin with name {step.action}"
        if self.state.leaving and not (step.is_final and result is self.state.steps[-1]):
            return "Skipped", 0, f"{named} and id {step.name} skipped due to prior step with an exit condition"
        try:
            unmet = document.unmet(step)
        except ValueError as error:
            text = f"Unrecognized precondition(s): '{error}', please update agent to latest version."
            return "Failed", 1, f"{text} Step name: {step.name}"
        if unmet:
            text = f"Step execution skipped due to unsatisfied preconditions: '{unmet}'. Step name: {step.name}"
            return "Skipped", 0, text
        if step.action != RUN_SHELL_SCRIPT:
            return "Failed", 1, f"{named} is not supported by this agent (a stand-in). Step name: {step.name}"
        if result.runs >= MOST_RUNS:
            return "Failed", 1, f"Step {step.name} was begun {MOST_RUNS} times"
        return None

    def _script(self, step: document.Step, result: StepState) -> tuple[str, int]:
        """Runs it, keeps its output in `result`; returns what it counts as: status and code."""
        folders = [part.replace(":", "") for part in (step.action, step.folder)]
        directory = self.store.orchestration.joinpath(self.state.command_id, *folders)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        ended = shell.run_script(step.inputs, directory, self._environment(), self._cancelled)
        for name, added in (("stdout", ""), ("stderr", ended.note)):
            with (directory / name).open("ab") as file:
                file.write(added.encode())
        if self.state.bucket:
            self._upload(folders, directory)
        out, err = (directory / "stdout").read_bytes(), (directory / "stderr").read_bytes()
        status, code, added = document.shown(step, ended.status, ended.code)
        if ended.code == document.LEAVE_AS_SUCCESS:
            err = b""
        result.output = output.both(out, err)
        result.stdout = output.standard(out + added.encode())
        result.stderr = output.standard(err + added.encode() * (ended.code != document.LEAVE_AS_SUCCESS))
        return status, code

    def _environment(self) -> dict[str, str]:
        system = os_release()
        return {
            "SSM_COMMAND_ID": self.state.command_id,
            "AWS_SSM_INSTANCE_ID": self.state.instance_id,
            "AWS_SSM_REGION_NAME": self.state.region,
            "AWS_SSM_PLATFORM_NAME": system.get("NAME", ""),
            "AWS_SSM_PLATFORM_VERSION": system.get("VERSION_ID", ""),
        }

    def _upload(self, folders: list[str], directory: Path) -> None:
        """The whole output to S3. As with the real agent, a failure is in the log and does not fail the step."""
        client = Client(self.state.region, Metadata())
        parts = [self.state.prefix, self.state.command_id, self.state.instance_id, *folders]
        key = "/".join(part for part in parts if part)
        for stream in ("stdout", "stderr"):
            content = (directory / stream).read_bytes()
            try:
                if content:
                    client.put_object(self.state.bucket, f"{key}/{stream}", content)
            except AwsError as error:
                print(f"output of {self.state.command_id} to s3://{self.state.bucket}/{key}: {error}", file=sys.stderr)

    def _end(self, result: StepState, status: str, code: int, text: str = "") -> None:
        result.status, result.code, result.output, result.ended = status, code, text, now()
        save(self.state, self.path)

    def _finish(self) -> None:
        self.state.finished = True
        save(self.state, self.path)

    def _cancelled(self) -> bool:
        return self.store.cancel_path(self.state.command_id).exists()


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
