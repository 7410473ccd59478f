"""Waiting: what it survives, what it does not, and what it says at its deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws import waiting
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.waiting import WaitTimeoutError, wait_for
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, SSLError

URL = "https://ec2.us-east-1.amazonaws.com"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "time", made)
    return made


def refused(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": f"says {code}"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribeInstances")


def answers(*given: str | Exception) -> Callable[[], str]:
    """One after the other; the last one for ever."""
    left: Iterator[str | Exception] = iter(given)

    def read() -> str:
        answer = next(left, given[-1])
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


def running(state: str) -> bool:
    return state == "running"


def test_a_wait_that_ends_at_its_deadline_says_for_what_how_long_and_the_last_answer(clock: Clock) -> None:
    with pytest.raises(WaitTimeoutError, match=r"^i-1 running: not so after 30 s; last answer: pending$"):
        wait_for("i-1 running", answers("pending"), running, 30)
    assert clock.now == pytest.approx(30, abs=0.1)


def test_a_deadline_of_no_time_still_asks_once() -> None:
    assert wait_for("i-1 running", answers("running"), running, 0) == "running"
    with pytest.raises(WaitTimeoutError, match="not so after 0 s; last answer: pending"):
        wait_for("i-1 running", answers("pending"), running, 0)


def test_the_last_answer_is_put_into_words_by_whoever_waits(clock: Clock) -> None:
    with pytest.raises(WaitTimeoutError, match="last answer: it is pending"):
        wait_for("i-1 running", answers("pending"), running, 1, describe=lambda state: f"it is {state}")


@pytest.mark.parametrize(
    "error",
    [
        refused("ThrottlingException"),
        refused("RequestLimitExceeded", 503),
        refused("SomethingNew", 500),
        EndpointConnectionError(endpoint_url=URL),
        ConnectTimeoutError(endpoint_url=URL),
    ],
    ids=str,
)
def test_throttling_a_service_that_is_down_and_a_lost_connection_are_survived(clock: Clock, error: Exception) -> None:
    assert wait_for("i-1 running", answers(error, "pending", error, "running"), running, 60) == "running"


def test_an_error_that_stays_until_the_deadline_is_the_last_answer(clock: Clock) -> None:
    with pytest.raises(WaitTimeoutError, match=r"last answer: .*says ThrottlingException"):
        wait_for("i-1 running", answers("pending", refused("ThrottlingException")), running, 10)


@pytest.mark.parametrize(
    "error",
    [refused("UnauthorizedOperation", 403), refused("ValidationError"), SSLError(endpoint_url=URL, error="expired")],
    ids=str,
)
def test_an_error_that_does_not_pass_ends_the_wait_at_once(clock: Clock, error: Exception) -> None:
    with pytest.raises(type(error)):
        wait_for("i-1 running", answers(error), running, 60)
    assert clock.now == 0


@pytest.mark.parametrize("code", ["InvalidInstanceID.NotFound", "InvocationDoesNotExist", "ResourceNotFoundException"])
def test_what_was_just_created_may_be_unknown_for_a_while(clock: Clock, code: str) -> None:
    read = answers(refused(code), refused(code), "running")
    assert wait_for("i-1 running", read, running, 60, new_seconds=30) == "running"


def test_what_stays_unknown_longer_is_an_error(clock: Clock) -> None:
    with pytest.raises(ClientError, match="NotFound"):
        wait_for("i-1 running", answers(refused("InvalidInstanceID.NotFound")), running, 60, new_seconds=20)
    assert 20 <= clock.now <= 27


def test_what_was_not_just_created_must_be_known(clock: Clock) -> None:
    with pytest.raises(ClientError, match="NotFound"):
        wait_for("i-1 running", answers(refused("InvalidInstanceID.NotFound")), running, 60)


def test_the_pauses_grow_up_to_a_limit_and_vary(clock: Clock) -> None:
    asked = count()
    with pytest.raises(WaitTimeoutError):
        wait_for("never", lambda: next(asked), lambda _: False, 120)
    assert clock.pauses[0] <= 0.6 and 4 <= clock.pauses[-2] <= 6
    assert len(set(clock.pauses)) == len(clock.pauses)
    assert 28 <= next(asked) <= 40
