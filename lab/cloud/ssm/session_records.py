"""Sessions of one region: their states, their tokens, and which of them DescribeSessions shows. Data and rules only.

Rules from the AWS Systems Manager API Reference: StartSession, ResumeSession, TerminateSession, DescribeSessions, Session, SessionFilter.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

Status = Literal["Connecting", "Connected", "Disconnected", "Terminating", "Terminated", "Failed"]

ENDED = ("Terminated", "Failed")
TOKEN_SECONDS = 60
KEPT_SECONDS = 30 * 24 * 3600
"""DescribeSessions: terminated sessions from the past 30 days."""


@dataclass
class Session:
    session_id: str
    target: str
    document_name: str
    owner: str
    """The caller's ARN."""
    reason: str
    started_at: float
    longest_minutes: int | None
    status: Status = "Connecting"
    ended_at: float | None = None
    token: str = ""
    """Opens the data channel once, until `token_until`; empty when it is used."""
    token_until: float = 0.0

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class UnknownSessionError(KeyError):
    """There is no such session."""


class Sessions:
    """All methods may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._change = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A lab is saved with its machines stopped: in the copy, every session is over."""
        now = self._clock()
        over = {k: s if s.ended else replace(s, status="Terminated", ended_at=now) for k, s in self._sessions.items()}
        return {**self.__dict__, "_sessions": over}

    def add(
        self,
        caller: str,
        *,
        owner: str,
        target: str,
        document_name: str,
        reason: str = "",
        longest_minutes: int | None = None,
    ) -> Session:
        """A new session; `caller` is the name of the user or of the role's session, which its id begins with."""
        session_id = f"{caller[:78]}-{secrets.token_hex(9)[:17]}"
        now = self._clock()
        session = Session(session_id, target, document_name, owner, reason, now, longest_minutes)
        with self._change:
            kept = {k: s for k, s in self._sessions.items() if s.ended_at is None or now - s.ended_at < KEPT_SECONDS}
            self._sessions = {**kept, session_id: session}
            self._renew(session)
        return session

    def get(self, session_id: str) -> Session:
        with self._change:
            return self._get(session_id)

    def resume(self, session_id: str) -> str:
        """A new token in place of the old one; none (empty) for a session that has ended. Raises UnknownSessionError."""
        with self._change:
            session = self._get(session_id)
            if session.ended:
                return ""
            self._renew(session)
            return session.token

    def authorize(self, session_id: str, token: str) -> bool:
        """Whether the token opens the session's data channel; it does so once."""
        with self._change:
            session = self._sessions.get(session_id)
            if session is None or session.ended or not session.token or self._clock() >= session.token_until:
                return False
            if not secrets.compare_digest(session.token.encode(), token.encode()):
                return False
            session.token = ""
            return True

    def enter(self, session_id: str, status: Status) -> None:
        """The session's next state. Nothing follows an end; a session that is not known (any more) is left alone."""
        with self._change:
            session = self._sessions.get(session_id)
            if session is None or session.ended:
                return
            session.status = status
            if session.ended:
                session.ended_at = self._clock()

    def all(self) -> list[Session]:
        """Newest first."""
        with self._change:
            return list(reversed(self._sessions.values()))

    def _get(self, session_id: str) -> Session:
        try:
            return self._sessions[session_id]
        except KeyError:
            raise UnknownSessionError(session_id) from None

    def _renew(self, session: Session) -> None:
        session.token = secrets.token_urlsafe(150)
        session.token_until = self._clock() + TOKEN_SECONDS


def shown(session: Session) -> dict[str, Any]:
    """A Session as the API shows it."""
    found = {
        "SessionId": session.session_id,
        "Target": session.target,
        "Status": session.status,
        "StartDate": datetime.fromtimestamp(session.started_at, UTC),
        "DocumentName": session.document_name,
        "Owner": session.owner,
        "AccessType": "Standard",
    }
    if session.ended_at is not None:
        found["EndDate"] = datetime.fromtimestamp(session.ended_at, UTC)
    if session.reason:
        found["Reason"] = session.reason
    if session.longest_minutes is not None:
        found["MaxSessionDuration"] = str(session.longest_minutes)
    return found


def matches(session: Session, filters: Sequence[Mapping[str, str]]) -> bool:
    """Whether a session passes all filters. KeyError: no such filter; ValueError: its value can't be read."""
    tests: Mapping[str, Callable[[str], bool]] = {
        "InvokedAfter": lambda value: session.started_at >= _seconds(value),
        "InvokedBefore": lambda value: session.started_at < _seconds(value),
        "Target": lambda value: session.target == value,
        "Owner": lambda value: session.owner == value,
        "Status": lambda value: session.status == value,
        "SessionId": lambda value: session.session_id == value,
        "AccessType": lambda value: value == "Standard",
    }
    return all(tests[condition["key"]](condition["value"]) for condition in filters)


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
