"""SSM requests of Session Manager, which moto lacks."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ssm.exceptions import InvalidFilterKey, SSMException, ValidationException

from lab.cloud.auth.records import caller
from lab.cloud.ssm import serializers
from lab.cloud.ssm.session_records import UnknownSessionError, matches, shown
from lab.settings import CHANNEL_PORT, GATEWAY

MOST_SESSIONS = 200
LONGEST_REASON = 256
STATES = ("Active", "History")


def stream_url(session_id: str) -> str:
    return f"ws://{GATEWAY}:{CHANNEL_PORT}/v1/data-channel/{session_id}?role=publish_subscribe"


class SessionHandlers:
    """Mixed into the lab's SSM response class."""

    lab: Any
    access_key: str
    _get_param: Any

    def start_session(self) -> ActionResult:
        reason = self._get_param("Reason")
        if reason is not None and not 1 <= len(reason) <= LONGEST_REASON:
            raise ValidationException(f"Reason has {len(reason)} characters; it takes 1 to {LONGEST_REASON}.")
        if not self._get_param("Target"):
            raise ValidationException("Target is required.")
        names = ("Target", "DocumentName", "Parameters", "Reason")
        request = {name: self._get_param(name) for name in names}
        session = self.lab.manager.start(self.lab, caller(self.access_key), request)
        return self._opened(session.session_id, session.token)

    def resume_session(self) -> ActionResult:
        """A session that has ended answers without a token, which a client takes for its end (session-manager-plugin,
        sessionhandler.go, ResumeSessionHandler)."""
        session_id = self._get_param("SessionId")
        try:
            token = self.lab.sessions.resume(session_id)
        except UnknownSessionError:
            raise _unknown(session_id) from None
        return self._opened(session_id, token) if token else ActionResult({"SessionId": session_id})

    def terminate_session(self) -> ActionResult:
        session_id = self._get_param("SessionId")
        try:
            self.lab.manager.terminate(self.lab, session_id)
        except UnknownSessionError:
            raise _unknown(session_id) from None
        return ActionResult({"SessionId": session_id})

    def describe_sessions(self) -> ActionResult:
        state = self._get_param("State")
        if state not in STATES:
            raise ValidationException(f"State is {state!r}, not one of {', '.join(STATES)}.")
        size = int(self._get_param("MaxResults") or MOST_SESSIONS)
        if not 1 <= size <= MOST_SESSIONS:
            raise ValidationException(f"MaxResults is {size}; it takes 1 to {MOST_SESSIONS}.")
        filters = self._get_param("Filters") or []
        of_state = [s for s in self.lab.sessions.all() if s.ended == (state == "History")]
        try:
            found = [shown(s) for s in of_state if matches(s, filters)]
        except KeyError as error:
            raise InvalidFilterKey(f"Sessions are not filtered by {error}.") from error
        except ValueError as error:
            raise ValidationException(f"The value of a filter is not valid: {error}") from error
        try:
            part, token = serializers.page(found, self._get_param("NextToken"), size)
        except ValueError as error:
            raise SSMException("InvalidNextToken", "The specified token isn't valid.") from error
        return ActionResult({"Sessions": part, "NextToken": token} if token else {"Sessions": part})

    def _opened(self, session_id: str, token: str) -> ActionResult:
        return ActionResult({"SessionId": session_id, "TokenValue": token, "StreamUrl": stream_url(session_id)})


def _unknown(session_id: str) -> SSMException:
    return SSMException("DoesNotExistException", f"There is no session {session_id}.")
