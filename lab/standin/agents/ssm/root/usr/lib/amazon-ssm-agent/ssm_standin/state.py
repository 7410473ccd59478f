"""The state of one command on disk: it outlives the agent, the worker and a reboot."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MOST_COMPLETED = 50


@dataclass
class StepState:
    """What SendReply says of a step, under the names of its payload where they are the same."""

    name: str
    action: str
    status: str = "NotStarted"
    code: int = -1
    stdout: str = ""
    stderr: str = ""
    output: str = ""
    started: str = ""
    ended: str = ""
    runs: int = 0


@dataclass
class CommandState:
    message_id: str
    command_id: str
    instance_id: str
    region: str
    document: dict[str, Any]
    parameters: dict[str, Any]
    bucket: str = ""
    prefix: str = ""
    steps: list[StepState] = field(default_factory=list)
    finished: bool = False
    leaving: bool = False
    """A step has ended the document; only a finallyStep still runs."""
    reboot: bool = False
    """A step has asked for a reboot and is begun again when the agent starts, be it in another boot or not."""


class Store:
    """Files under <data>/<instance>/document/state, one directory per stage."""

    def __init__(self, data: Path, instance_id: str) -> None:
        base = data / instance_id / "document"
        self.current = base / "state" / "current"
        self.completed = base / "state" / "completed"
        self.orchestration = base / "orchestration"
        for directory in (self.current, self.completed, self.orchestration):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, command_id: str) -> Path:
        return self.current / command_id

    def cancel_path(self, command_id: str) -> Path:
        """Exists once the command is to be cancelled."""
        return self.current / f"{command_id}.cancel"

    def unfinished(self) -> list[Path]:
        return sorted(p for p in self.current.iterdir() if not p.suffix)

    def load(self, command_id: str) -> CommandState:
        """Raises ValueError for a file that is no state."""
        path = self.path(command_id)
        try:
            values = json.loads(path.read_text())
            values["steps"] = [StepState(**step) for step in values["steps"]]
            return CommandState(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: {error!r}") from error

    @contextmanager
    def work_on(self, command_id: str) -> Iterator[bool]:
        """Makes the caller the command's only worker for as long as it runs; False if there is one already."""
        with self._lock_path(command_id).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def worked_on(self, command_id: str) -> bool:
        """Whether a worker has the command."""
        with self.work_on(command_id) as free:
            return not free

    def _lock_path(self, command_id: str) -> Path:
        return self.current / f"{command_id}.lock"

    def complete(self, command_id: str) -> None:
        """Moves a command's state away; of the completed ones only the latest are kept."""
        self.cancel_path(command_id).unlink(missing_ok=True)
        self._lock_path(command_id).unlink(missing_ok=True)
        self.path(command_id).replace(self.completed / command_id)
        for old in sorted(self.completed.iterdir(), key=lambda p: p.stat().st_mtime)[:-MOST_COMPLETED]:
            old.unlink()


def save(state: CommandState, path: Path) -> None:
    """In one piece, and on the disk before this returns: a reboot may be next."""
    partial = path.with_suffix(".new")
    with partial.open("w") as out:
        os.fchmod(out.fileno(), 0o600)
        json.dump(asdict(state), out)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
