"""Sessions as records: ids, tokens, states, and what DescribeSessions finds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab.cloud.ssm.session_records import (
    KEPT_SECONDS,
    TOKEN_SECONDS,
    Session,
    Sessions,
    UnknownSessionError,
    matches,
    shown,
)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def add(sessions: Sessions, caller: str = "lab", **more: Any) -> Session:
    arn = f"arn:aws:iam::000000000000:user/{caller}"
    return sessions.add(caller, **{"owner": arn, "target": "i-1", "document_name": "AWS-StartSSHSession", **more})


def test_an_id_begins_with_the_caller_and_fits_the_api(sessions: Sessions) -> None:
    assert re.fullmatch(r"me@x-[0-9a-f]{17}", add(sessions, "me@x").session_id)
    assert len(add(sessions, "x" * 200).session_id) <= 96
    assert len(add(sessions).token) <= 300


def test_a_token_opens_its_own_session_once(sessions: Sessions) -> None:
    one, other = add(sessions), add(sessions)
    token = one.token
    assert not sessions.authorize(other.session_id, token)
    assert not sessions.authorize(one.session_id, "")
    assert not sessions.authorize("nobody-0", token)
    assert sessions.authorize(one.session_id, token)
    assert not sessions.authorize(one.session_id, token)


def test_a_token_ends_by_itself(sessions: Sessions, clock: Clock) -> None:
    session = add(sessions)
    token = session.token
    clock.now += TOKEN_SECONDS
    assert not sessions.authorize(session.session_id, token)


def test_resuming_gives_a_new_token_and_ends_the_old_one(sessions: Sessions) -> None:
    session = add(sessions)
    old = session.token
    new = sessions.resume(session.session_id)
    assert not sessions.authorize(session.session_id, old)
    assert sessions.authorize(session.session_id, new)


def test_a_session_that_has_ended_gives_no_token_and_takes_none(sessions: Sessions) -> None:
    session = add(sessions)
    token = session.token
    sessions.enter(session.session_id, "Terminated")
    assert sessions.resume(session.session_id) == ""
    assert not sessions.authorize(session.session_id, token)


def test_an_unknown_session_is_said_to_be_unknown(sessions: Sessions) -> None:
    for call in (sessions.resume, sessions.get):
        with pytest.raises(UnknownSessionError):
            call("nobody-0")
    sessions.enter("nobody-0", "Connected")  # of a lab that was restored meanwhile


def test_nothing_follows_an_end(sessions: Sessions, clock: Clock) -> None:
    session = add(sessions)
    sessions.enter(session.session_id, "Failed")
    ended = clock.now
    clock.now += 5
    sessions.enter(session.session_id, "Connected")
    assert (session.status, session.ended_at) == ("Failed", ended)


def test_sessions_that_ended_long_ago_are_forgotten(sessions: Sessions, clock: Clock) -> None:
    old, open_ = add(sessions), add(sessions)
    sessions.enter(old.session_id, "Terminated")
    clock.now += KEPT_SECONDS + 1
    new = add(sessions)
    assert sessions.all() == [new, open_]


def test_in_the_copy_of_a_saved_lab_every_session_is_over(sessions: Sessions) -> None:
    session = add(sessions)
    sessions.enter(session.session_id, "Connected")
    copied = Sessions()
    copied.__dict__.update(sessions.__getstate__())
    assert copied.get(session.session_id).status == "Terminated"
    assert not copied.authorize(session.session_id, session.token)
    assert session.status == "Connected"


def test_a_session_is_shown_as_the_api_does(sessions: Sessions) -> None:
    session = add(sessions, reason="look", longest_minutes=60)
    assert shown(session).keys() == {
        "SessionId", "Target", "Status", "StartDate", "DocumentName", "Owner", "AccessType", "Reason", "MaxSessionDuration",
    }  # fmt: skip
    sessions.enter(session.session_id, "Terminated")
    assert shown(session)["EndDate"] >= shown(session)["StartDate"]


@pytest.mark.parametrize(
    ("key", "yes", "no"),
    [
        ("Target", "i-1", "i-2"),
        ("Owner", "arn:aws:iam::000000000000:user/lab", "arn:aws:iam::000000000000:user/me"),
        ("Status", "Connecting", "Connected"),
        ("AccessType", "Standard", "JustInTime"),
        ("InvokedAfter", "1970-01-12T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("InvokedBefore", "2026-01-01T00:00:00Z", "1970-01-12T00:00:00Z"),
    ],
)
def test_filters_choose(sessions: Sessions, key: str, yes: str, no: str) -> None:
    session = add(sessions)
    assert matches(session, [{"key": key, "value": yes}, {"key": "SessionId", "value": session.session_id}])
    assert not matches(session, [{"key": key, "value": no}])


def test_an_unknown_filter_and_a_date_that_is_none_are_refused(sessions: Sessions) -> None:
    with pytest.raises(KeyError):
        matches(add(sessions), [{"key": "Colour", "value": "x"}])
    with pytest.raises(ValueError, match="x"):
        matches(add(sessions), [{"key": "InvokedAfter", "value": "x"}])
