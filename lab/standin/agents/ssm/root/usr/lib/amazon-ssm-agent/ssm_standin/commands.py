"""The agent's side of its commands: starts a worker for each, reports what the state file says, reboots when a step asks for it."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from ssm_standin import NAME, VERSION, document
from ssm_standin.aws import AwsError, Client
from ssm_standin.host import Identity
from ssm_standin.paths import LOG_FILE, WORKER
from ssm_standin.state import CommandState, StepState, Store, now, save

log = logging.getLogger("commands")

LOOK_SECONDS = 0.2
RETRY_SECONDS = 2.0
MOST_STARTS = 10
GONE = ("MessageNotFoundException", "InvalidInstanceId")
"""Error codes after which nobody waits for a report any more."""


class Commands:
    def __init__(self, client: Client, who: Identity, store: Store, workers: int, reboot: Callable[[], None]) -> None:
        self._client = client
        self._who = who
        self._store = store
        self._slots = threading.BoundedSemaphore(workers)
        self._reboot = reboot
        self._watched: set[str] = set()
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: dict[str, int] = {}

    def resume(self) -> None:
        """Takes up what an earlier run of the agent has left."""
        for path in self._store.unfinished():
            try:
                state = self._store.load(path.name)
            except ValueError as error:
                log.warning("The state of a command is lost: %s", error)
                path.unlink()
                continue
            log.info("Resuming command %s", state.command_id)
            if state.reboot:
                state.reboot = False
                save(state, path)
            self.watch(state.command_id)

    def accept(self, state: CommandState) -> None:
        """A new command. Acknowledged only when its state is on the disk."""
        if self._store.path(state.command_id).exists() or (self._store.completed / state.command_id).exists():
            log.warning("Command %s came twice", state.command_id)
            return
        save(state, self._store.path(state.command_id))
        try:
            self._client.call("ec2messages", "AcknowledgeMessage", {"MessageId": state.message_id})
        except AwsError as error:
            log.warning("Command %s is not run: %s", state.command_id, error)
            self._store.path(state.command_id).unlink()
            return
        log.info("Command %s accepted", state.command_id)
        self.watch(state.command_id)

    def cancel(self, message_id: str, command_id: str) -> None:
        if self._store.path(command_id).exists():
            self._store.cancel_path(command_id).touch()
        self._client.call("ec2messages", "AcknowledgeMessage", {"MessageId": message_id})
        log.info("Command %s is being cancelled", command_id)

    def watch(self, command_id: str) -> None:
        if command_id not in self._watched:
            self._watched.add(command_id)
            threading.Thread(target=self._guarded, args=(command_id,), name=command_id, daemon=True).start()

    def _guarded(self, command_id: str) -> None:
        with self._slots:
            try:
                self._follow(command_id)
            except Exception:
                log.exception("Following command %s failed; it is taken up again when the agent restarts", command_id)
        self._watched.discard(command_id)

    def _follow(self, command_id: str) -> None:
        """Until the command has ended and its end is reported, or until the machine is to reboot."""
        reported = ""
        while True:
            state = self._store.load(command_id)
            self._keep_working(state)
            payload = reply(state)
            text = json.dumps(payload)
            if text != reported:
                if not self._report(state.message_id, text):
                    break
                reported = text
            if state.finished:
                log.info("Command %s ended: %s", command_id, payload["documentStatus"])
                break
            if state.reboot:
                log.info("Command %s asks for a reboot", command_id)
                self._reboot()
                return
            time.sleep(LOOK_SECONDS)
        self._store.complete(command_id)

    def _keep_working(self, state: CommandState) -> None:
        """Starts a worker unless there is one, the document has ended, or a step has asked for a reboot."""
        process = self._workers.get(state.command_id)
        if process is not None and process.poll() is None:
            return
        if state.finished or state.reboot or self._store.worked_on(state.command_id):
            return
        if self._store.load(state.command_id) != state:  # it has just ended: look again
            return
        self._starts[state.command_id] = self._starts.get(state.command_id, 0) + 1
        if self._starts[state.command_id] > MOST_STARTS:
            self._give_up(state)
            return
        self._workers[state.command_id] = subprocess.Popen(
            [WORKER, state.instance_id, state.command_id], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _give_up(self, state: CommandState) -> None:
        note = f"{WORKER} ended {MOST_STARTS} times before the document did; see {LOG_FILE}"
        log.error("Command %s: %s", state.command_id, note)
        result = next((step for step in state.steps if not step.ended), None)
        if result is None:
            result = StepState("document", "")
            state.steps.append(result)
        result.status, result.code, result.output, result.ended = "Failed", 1, note, now()
        state.finished = True
        save(state, self._store.path(state.command_id))

    def _report(self, message_id: str, text: str) -> bool:
        """SendReply until it is taken. False: nobody waits for it."""
        request = {"MessageId": message_id, "Payload": text, "ReplyId": f"{message_id}-{time.time_ns()}"}
        while True:
            try:
                self._client.call("ec2messages", "SendReply", request)
            except AwsError as error:
                if error.code in GONE:
                    log.warning("The report on %s was refused: %s", message_id, error)
                    return False
                log.warning("Reporting on %s again in %g s: %s", message_id, RETRY_SECONDS, error)
                time.sleep(RETRY_SECONDS)
            else:
                return True


def reply(state: CommandState) -> dict[str, Any]:
    """The payload of SendReply."""
    statuses = [step.status for step in state.steps]
    return {
        "additionalInfo": {
            "agent": {"lang": "en-US", "name": NAME, "os": "linux", "osver": "1", "ver": VERSION},
            "dateTime": "",
            "runId": "",
            "runtimeStatusCounts": {status: statuses.count(status) for status in sorted(set(statuses))},
        },
        "documentStatus": document.document_status(statuses) if state.finished or state.reboot else "InProgress",
        "documentTraceOutput": "",
        "runtimeStatus": {step.name: _shown(step) for step in state.steps if step.status != "NotStarted"},
    }


def _shown(step: StepState) -> dict[str, Any]:
    return {
        "status": step.status,
        "code": step.code,
        "name": step.action,
        "stepName": step.name,
        "output": step.output,
        "standardOutput": step.stdout,
        "standardError": step.stderr,
        "startDateTime": step.started or step.ended,
        "endDateTime": step.ended,
    }
