"""The journal of a rolling operation: a JSON document in Parameter Store, so that another control node can resume it.

Shape: ``{"operation", "subject", "status": running|stopped|finished, "started", "updated", "hosts": {id: pending|out|done},
"message"}``; times are UTC in ISO 8601. A standard parameter holds 4 KiB, enough for about 150 hosts; larger fleets need the
advanced tier (8 KiB) or the Systems Manager engine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

RUNNING, STOPPED, FINISHED = "running", "stopped", "finished"


class JournalError(Exception):
    """The journal forbids the operation; the message says what is under way and how to go on."""


@dataclass(frozen=True)
class Journal:
    operation: str
    subject: str
    status: str = RUNNING
    started: str = ""
    updated: str = ""
    hosts: dict[str, str] = field(default_factory=dict)
    message: str = ""

    @property
    def done(self) -> list[str]:
        return sorted(i for i, state in self.hosts.items() if state == "done")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def parse(text: str | None) -> Journal | None:
    """The journal from its parameter's value; None if there is none. A document that isn't one raises JournalError."""
    if not text:
        return None
    try:
        data: dict[str, Any] = json.loads(text)
        return Journal(**data)
    except (ValueError, TypeError) as error:
        raise JournalError(f"the journal is not one of ours ({error}): look at it and delete the parameter") from error


def render(journal: Journal) -> str:
    return json.dumps(asdict(journal), sort_keys=True)


def begin(previous: Journal | None, operation: str, subject: str, force: bool = False) -> Journal:
    """A new journal, or the one of the same unfinished operation to resume; another unfinished operation is refused."""
    if previous is None or previous.status == FINISHED or force:
        return Journal(operation=operation, subject=subject, started=now(), updated=now())
    if (previous.operation, previous.subject) == (operation, subject):
        return replace(previous, status=RUNNING, updated=now(), message="")
    raise JournalError(
        f"{previous.operation} of {previous.subject} (started {previous.started}, {previous.status}) is not finished"
        + (f": {previous.message}" if previous.message else "")
        + ". Finish it by running it again, or give it up with -e fleet_force=true after looking at the hosts."
    )


def mark(journal: Journal, instance_id: str, state: str) -> Journal:
    return replace(journal, hosts={**journal.hosts, instance_id: state}, updated=now())


def close(journal: Journal, status: str, message: str = "") -> Journal:
    return replace(journal, status=status, message=message, updated=now())
