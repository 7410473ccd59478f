"""The two directions of a data channel without their transport: numbering, acknowledgement, retransmission, order.

Rules and times after amazon-ssm-agent, agent/session/datachannel/datachannel.go and agent/session/config/config.go. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from lab.sessions.message import OUTPUT, SYN, Message, PayloadType

FIRST_RETRANSMISSION = 0.2
FIRST_ROUND_TRIP = 0.1
LONGEST_RETRANSMISSION = 1.0
CLOCK_GRANULARITY = 0.01
ROUND_TRIP_WEIGHT, VARIATION_WEIGHT = 1 / 8, 1 / 4
RESEND_INTERVAL = 0.1
"""How often the oldest message without an acknowledgement is looked at."""
MOST_EARLY_MESSAGES = 100_000
WINDOW_BYTES = 1024 * 1024
"""What may be on its way without an acknowledgement. The agent's limit is 100,000 messages of 1 KiB."""
DUPLICATE_RESENDS = 10
"""How often a message is sent once more that the client seems to have had before its connection was lost."""


@dataclass(slots=True)
class _Sent:
    sequence: int
    data: bytes
    sent_at: float
    connection: int
    """The number of the client's connection on which it was first sent."""
    resends: int = 0
    duplicate: bool = False


class Outgoing:
    """What the agent sends: kept until the client has acknowledged it."""

    def __init__(self) -> None:
        self.next_sequence = 0
        self.retransmission = FIRST_RETRANSMISSION
        self._round_trip, self._variation = FIRST_ROUND_TRIP, 0.0
        self._waiting: dict[int, _Sent] = {}
        self._bytes = 0
        self._connection = 1

    @property
    def empty(self) -> bool:
        return not self._waiting

    @property
    def room(self) -> bool:
        return self._bytes < WINDOW_BYTES

    def add(self, payload_type: PayloadType, payload: bytes, now: float) -> bytes:
        """The next message of the stream, ready to be sent."""
        sequence, self.next_sequence = self.next_sequence, self.next_sequence + 1
        data = Message(OUTPUT, sequence, payload, payload_type, SYN if sequence == 0 else 0).pack()
        self._waiting[sequence] = _Sent(sequence, data, now, self._connection)
        self._bytes += len(data)
        return data

    def acknowledge(self, sequence: int, now: float) -> None:
        """An acknowledgement of what is not waiting changes nothing."""
        if (sent := self._waiting.pop(sequence, None)) is None:
            return
        self._forget(sent)
        self._measure(now - sent.sent_at)
        if self._connection > 1:
            self._suspect_before(sequence)

    def resume(self, now: float) -> list[bytes]:
        """The client has connected anew: all that it has not acknowledged, in order."""
        self._connection += 1
        for sent in self._waiting.values():
            sent.sent_at = now
        return [sent.data for sent in self._waiting.values()]

    def due(self, now: float) -> Iterator[bytes]:
        """What is to be sent again: the oldest message, when its acknowledgement is late."""
        for sent in list(self._waiting.values()):
            if now - sent.sent_at > self.retransmission:
                sent.sent_at, sent.resends = now, sent.resends + 1
                if sent.duplicate and sent.resends > DUPLICATE_RESENDS:
                    del self._waiting[sent.sequence]
                    continue
                yield sent.data
            if not sent.duplicate:
                return

    def _suspect_before(self, sequence: int) -> None:
        """Of what was sent on an earlier connection, the client has had all that comes before a message that it acknowledges now.

        It drops a message that it has had without a word (session-manager-plugin, HandleOutputMessage), so that one whose acknowledgement
        was lost with the connection would wait for ever. Such a message no longer counts for the window and is given up after some resends.
        """
        for sent in self._waiting.values():
            if sent.sequence > sequence:
                return
            if sent.connection < self._connection and not sent.duplicate:
                self._forget(sent)
                sent.duplicate = True

    def _forget(self, sent: _Sent) -> None:
        if not sent.duplicate:
            self._bytes -= len(sent.data)

    def _measure(self, round_trip: float) -> None:
        """calculateRetransmissionTimeout"""
        difference = abs(self._round_trip - round_trip)
        self._variation = (1 - VARIATION_WEIGHT) * self._variation + VARIATION_WEIGHT * difference
        self._round_trip = (1 - ROUND_TRIP_WEIGHT) * self._round_trip + ROUND_TRIP_WEIGHT * round_trip
        late = self._round_trip + max(CLOCK_GRANULARITY, 4 * self._variation)
        self.retransmission = min(late, LONGEST_RETRANSMISSION)


class Arrival(Enum):
    NEXT = auto()
    """To be worked on, then acknowledged; `Incoming.done` moves on."""
    EARLY = auto()
    """Kept, to be acknowledged; it is worked on once those before it are."""
    OLD = auto()
    """To be acknowledged again and dropped."""
    REFUSED = auto()
    """Too many wait already: no acknowledgement, the client sends it again."""


class Incoming:
    """What the client sends: each message once and in order."""

    def __init__(self, most_early: int = MOST_EARLY_MESSAGES) -> None:
        self.expected = 0
        self._early: dict[int, Message] = {}
        self._most = most_early

    def arrive(self, message: Message) -> Arrival:
        if message.sequence == self.expected:
            return Arrival.NEXT
        if message.sequence < self.expected:
            return Arrival.OLD
        if message.sequence not in self._early and len(self._early) >= self._most:
            return Arrival.REFUSED
        self._early[message.sequence] = message
        return Arrival.EARLY

    def done(self) -> Message | None:
        """The expected message is worked on; returns the one after it, if it has come already."""
        self._early.pop(self.expected, None)
        self.expected += 1
        return self._early.get(self.expected)
