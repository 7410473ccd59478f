# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a rolling operation: a JSON document in Parameter Store, so that another control node can resume it.

Shape: ``{"operation", "subject", "status": running|stopped|finished, "started", "updated", "hosts": {id: standby|done},
"message", "rebalancing_off"}``; times are UTC in ISO 8601. A standard parameter holds 4 KiB, enough for about 100 hosts; what is longer
goes to the advanced tier, 8 KiB. A message is cut to what is left.

Source: Systems Manager API Reference (PutParameter).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from .._aws import parameters
from .._aws.errors import UserError

RUNNING, STOPPED, FINISHED = STATUSES = "running", "stopped", "finished"
TODO = "todo"
LEAST_MESSAGE = 200
"""Characters of a message that are kept, whatever the journal's length."""


class JournalError(UserError):
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
    rebalancing_off: bool = False
    """Somebody had suspended AZRebalance before the operation began, so it stays suspended afterwards."""

    @property
    def done(self) -> list[str]:
        return sorted(i for i, state in self.hosts.items() if state == "done")

    @property
    def taken(self) -> list[str]:
        """Hosts that the operation has moved to Standby and not finished."""
        return sorted(i for i, state in self.hosts.items() if state == "standby")


EMPTY = Journal(operation="", subject="")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def parse(text: str | None) -> Journal | None:
    """The journal from its parameter's value; None if there is none. A document that isn't one raises JournalError."""
    if not text:
        return None
    try:
        data: dict[str, Any] = json.loads(text)
        found = Journal(**data)
    except (ValueError, TypeError) as error:
        raise JournalError(f"the journal is not one of ours ({error}): look at it and delete the parameter") from error
    if odd := _odd(found):
        raise JournalError(f"the journal is not one of ours ({odd}): look at it and delete the parameter")
    return found


def _odd(found: Journal) -> str:
    """What in it this version has not written, for a message; empty if it has."""
    for name, value in asdict(EMPTY).items():
        if type(getattr(found, name)) is not type(value):
            return f"{name} is {getattr(found, name)!r}"
    known = found.status in STATUSES and all(state in ("standby", "done") for state in found.hosts.values())
    return "" if known else f"status {found.status}, hosts {found.hosts}"


def render(journal: Journal) -> str:
    """The parameter's value; the end of a message for which there is no room is left out. Raises JournalError for too many hosts."""
    text = _dump(journal)
    if len(text) > parameters.LARGEST_STANDARD and journal.message:
        room = parameters.LARGEST_STANDARD - len(_dump(replace(journal, message="")))
        # At its longest a character is written as 12 of ASCII.
        short = journal.message
        while len(text) > parameters.LARGEST_STANDARD and len(short) > LEAST_MESSAGE:
            short = short[: max(LEAST_MESSAGE, min(len(short) - 1, room * len(short) // len(text)))]
            text = _dump(replace(journal, message=short + " [cut]"))
    if len(text) > parameters.LARGEST_ADVANCED:
        raise JournalError(
            f"the journal of {len(journal.hosts)} hosts is longer than a parameter may be ({parameters.LARGEST_ADVANCED})"
        )
    return text


def _dump(journal: Journal) -> str:
    """ASCII, so that its characters are as many as its bytes."""
    return json.dumps(asdict(journal), sort_keys=True, separators=(",", ":"))


def begin(previous: Journal | None, operation: str, subject: str, force: bool = False) -> Journal:
    """A new journal, or the one of the same unfinished operation to resume; another unfinished operation is refused.

    With ``force`` another one is abandoned; the hosts that it has left in Standby are the new operation's.
    """
    if previous is None or previous.status == FINISHED:
        return Journal(operation=operation, subject=subject, started=now(), updated=now())
    if force:
        taken = dict.fromkeys(previous.taken, "standby")
        return Journal(operation=operation, subject=subject, started=now(), updated=now(), hosts=taken)
    if (previous.operation, previous.subject) == (operation, subject):
        return replace(previous, status=RUNNING, updated=now(), message="")
    raise JournalError(
        f"{previous.operation} of {previous.subject} (started {previous.started}, {previous.status}) is not finished"
        + (f": {previous.message}" if previous.message else "")
        + ". Finish it by running it again, or abandon it with -e fleet_force=true after looking at the hosts."
    )


def remember_rebalancing(journal: Journal, previous: Journal | None, suspended: bool) -> Journal:
    """Note whether somebody else had suspended AZRebalance. A run that was killed has left it suspended itself; what it noted counts."""
    if previous and previous.status == RUNNING:
        return replace(journal, rebalancing_off=previous.rebalancing_off)
    return replace(journal, rebalancing_off=suspended)


def mark(journal: Journal, instance_id: str, state: str) -> Journal:
    """``state``: standby, done, or todo for a host that is to be taken again; the journal does not name those."""
    others = {i: known for i, known in journal.hosts.items() if i != instance_id}
    return replace(journal, hosts=others if state == TODO else {**others, instance_id: state}, updated=now())


def close(journal: Journal, status: str, message: str = "") -> Journal:
    return replace(journal, status=status, message=message, updated=now())


def stop(journal: Journal, reason: str) -> Journal:
    """Stopped for the reason, and for those of the other hosts of its batch that have stopped it before."""
    return close(journal, STOPPED, f"{journal.message} | {reason}" if journal.message else reason)


class Store:
    """The journal's parameter, through a boto3 client for ``ssm``."""

    def __init__(self, ssm: Any, name: str) -> None:
        self._ssm = ssm
        self._name = name

    def read(self) -> Journal | None:
        return parse(parameters.read(self._ssm, [self._name]).get(self._name))

    def write(self, journal: Journal) -> None:
        parameters.write_sized(self._ssm, self._name, render(journal))
