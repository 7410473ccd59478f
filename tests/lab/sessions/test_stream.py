"""Numbering, acknowledgement, retransmission and order of a data channel, without a network."""

from __future__ import annotations

from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.sessions import message as wire
from lab.sessions import stream
from lab.sessions.message import Message, PayloadType, unpack
from lab.sessions.stream import Arrival, Incoming, Outgoing


def incoming(sequence: int) -> Message:
    return Message(wire.INPUT, sequence, b"%d" % sequence, PayloadType.OUTPUT)


def taken(side: Incoming, message: Message) -> tuple[Arrival, list[int]]:
    """What a channel does with an arriving message: the numbers that it works on."""
    arrival, worked = side.arrive(message), []
    if arrival is Arrival.NEXT:
        now: Message | None = message
        while now is not None:
            worked.append(now.sequence)
            now = side.done()
    return arrival, worked


@given(st.lists(st.integers(0, 12), max_size=60))
def test_whatever_the_order_and_however_often_each_message_is_worked_on_once_and_in_order(arrivals: list[int]) -> None:
    side, worked = Incoming(), []
    for sequence in [*arrivals, *range(13)]:
        worked += taken(side, incoming(sequence))[1]
    assert worked == list(range(13))


def test_an_old_message_is_acknowledged_again_and_dropped() -> None:
    side = Incoming()
    taken(side, incoming(0))
    assert taken(side, incoming(0)) == (Arrival.OLD, [])


def test_a_message_that_finds_no_room_is_refused_and_taken_later() -> None:
    side = Incoming(most_early=2)
    assert [side.arrive(incoming(n)) for n in (1, 2, 3)] == [Arrival.EARLY, Arrival.EARLY, Arrival.REFUSED]
    assert side.arrive(incoming(2)) is Arrival.EARLY
    assert taken(side, incoming(0))[1] == [0, 1, 2]
    assert taken(side, incoming(3))[1] == [3]


@given(st.lists(st.booleans(), max_size=40), st.lists(st.booleans(), max_size=40))
def test_over_a_line_that_loses_messages_and_acknowledgements_everything_arrives_in_the_end(
    there: list[bool], back: list[bool]
) -> None:
    """True: lost. The line loses for a while only."""
    out, side, got, now = Outgoing(), Incoming(), [], 0.0
    lost_there, lost_back = chain(there, repeat(False)), chain(back, repeat(False))
    line = [out.add(PayloadType.OUTPUT, b"%d" % n, now) for n in range(8)]
    while not out.empty:
        for packed in line:
            if next(lost_there):
                continue
            message = unpack(packed)
            got += taken(side, message)[1]
            if not next(lost_back):
                out.acknowledge(message.sequence, now)
        now += 1.5
        line = list(out.due(now))
        assert now < 200
    assert got == list(range(8))


def test_only_the_first_message_has_the_flag_of_a_beginning() -> None:
    out = Outgoing()
    assert [unpack(out.add(PayloadType.OUTPUT, b"x", 0)).flags for _ in range(3)] == [1, 0, 0]


def test_only_the_oldest_message_is_sent_again_and_not_before_its_time() -> None:
    out = Outgoing()
    first, _ = out.add(PayloadType.OUTPUT, b"a", 0), out.add(PayloadType.OUTPUT, b"b", 0)
    assert list(out.due(0.2)) == []
    assert list(out.due(0.21)) == [first]
    assert list(out.due(0.3)) == []


def test_the_time_until_a_resend_follows_the_round_trip_and_has_a_limit() -> None:
    quick, slow = Outgoing(), Outgoing()
    for n in range(60):
        quick.add(PayloadType.OUTPUT, b"x", n)
        quick.acknowledge(n, n + 0.001)
        slow.add(PayloadType.OUTPUT, b"x", n)
        slow.acknowledge(n, n + 20)
    assert quick.retransmission < 0.05
    assert slow.retransmission == stream.LONGEST_RETRANSMISSION


def test_there_is_no_room_beyond_the_window_until_acknowledgements_come() -> None:
    out, count = Outgoing(), 0
    while out.room:
        out.add(PayloadType.OUTPUT, bytes(32 * 1024), 0)
        count += 1
    assert 30 <= count <= 33
    out.acknowledge(count - 1, 0)
    assert out.room


def test_an_acknowledgement_twice_or_of_nothing_changes_nothing() -> None:
    out = Outgoing()
    out.add(PayloadType.OUTPUT, b"x", 0)
    for number in (0, 0, 7):
        out.acknowledge(number, 1)
    assert out.empty
    assert out.room


def test_a_new_connection_gets_all_that_was_not_acknowledged_in_order() -> None:
    out = Outgoing()
    sent = [out.add(PayloadType.OUTPUT, b"%d" % n, 0) for n in range(4)]
    out.acknowledge(1, 0.1)
    assert out.resume(5) == [sent[0], sent[2], sent[3]]
    assert list(out.due(5.1)) == []


def test_messages_whose_acknowledgements_were_lost_with_the_connection_do_not_fill_the_window_for_ever() -> None:
    out = Outgoing()
    while out.room:
        out.add(PayloadType.OUTPUT, bytes(32 * 1024), 0)
    out.resume(1)  # the client had them all and stays silent about them
    number = out.next_sequence
    out.add(PayloadType.OUTPUT, b"new", 1)
    out.acknowledge(number, 1.1)
    assert out.room
    assert not out.empty, "they may be lost all the same, so they are sent some more times"
    for n in range(stream.DUPLICATE_RESENDS + 2):
        list(out.due(3.0 + 2 * n))
    assert out.empty


def test_a_message_of_this_connection_is_never_given_up() -> None:
    out = Outgoing()
    out.resume(0)
    first = out.add(PayloadType.OUTPUT, b"a", 0)
    out.add(PayloadType.OUTPUT, b"b", 0)
    out.acknowledge(1, 0.1)
    for n in range(50):
        assert list(out.due(2.0 + 2 * n)) == [first]


@pytest.mark.parametrize("sequence", [3, 0])
def test_what_was_taken_for_a_duplicate_is_still_acknowledged_by_its_own_acknowledgement(sequence: int) -> None:
    out = Outgoing()
    for _ in range(4):
        out.add(PayloadType.OUTPUT, b"x", 0)
    out.resume(1)
    out.acknowledge(3, 1.1)
    out.acknowledge(sequence, 1.2)
    for n in range(3):
        out.acknowledge(n, 1.3)
    assert out.empty
    assert out.room
