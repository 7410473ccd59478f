"""One binary message of a data channel: a header of 120 bytes, big endian, and a payload with its SHA-256.

Layout after session-manager-plugin, src/message/clientmessage.go and messageparser.go; agents and clients use the same.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

INPUT = "input_stream_data"
OUTPUT = "output_stream_data"
ACKNOWLEDGE = "acknowledge"
CHANNEL_CLOSED = "channel_closed"
START_PUBLICATION = "start_publication"
PAUSE_PUBLICATION = "pause_publication"
SERVICE_TYPES = (START_PUBLICATION, PAUSE_PUBLICATION)
"""Messages of the service itself: nobody checks their headers (`Validate`)."""

SCHEMA_VERSION = 1
SYN, FIN = 1, 2
"""Flags: the first message of a stream, and the last. A message outside of the stream is both."""
HEADER = struct.Struct(">I32sIQqQ16s32sII")
"""Header length, type, schema version, created (ms), sequence number, flags, id, digest, payload type, payload length."""
HEADER_LENGTH = HEADER.size - 4
"""What the first field says: the header without the payload's length."""


class PayloadType(IntEnum):
    OUTPUT = 1
    ERROR = 2
    SIZE = 3
    PARAMETER = 4
    HANDSHAKE_REQUEST = 5
    HANDSHAKE_RESPONSE = 6
    HANDSHAKE_COMPLETE = 7
    ENCRYPTION_CHALLENGE_REQUEST = 8
    ENCRYPTION_CHALLENGE_RESPONSE = 9
    FLAG = 10
    STDERR = 11
    EXIT_CODE = 12


class Flag(IntEnum):
    """The payload of a message of type FLAG, four bytes."""

    DISCONNECT_TO_PORT = 1
    TERMINATE_SESSION = 2
    CONNECT_TO_PORT_ERROR = 3


class MessageError(ValueError):
    """The bytes are no message."""


@dataclass(frozen=True, slots=True)
class Message:
    kind: str
    """`input_stream_data`, `acknowledge`, …"""
    sequence: int
    payload: bytes
    payload_type: int = 0
    flags: int = 0
    message_id: uuid.UUID = field(default_factory=uuid.uuid4)
    created: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    """Milliseconds since 1970."""

    def pack(self) -> bytes:
        identity = self.message_id.bytes
        digest = hashlib.sha256(self.payload).digest()
        header = HEADER.pack(
            HEADER_LENGTH,
            self.kind.encode().ljust(32),
            SCHEMA_VERSION,
            self.created,
            self.sequence,
            self.flags,
            identity[8:] + identity[:8],  # the less significant half comes first
            digest,
            self.payload_type,
            len(self.payload),
        )
        return header + self.payload


def unpack(data: bytes) -> Message:
    """Raises MessageError for what is cut off, has lengths that contradict each other, or another digest than its payload's."""
    if len(data) < HEADER.size:
        raise MessageError(f"{len(data)} bytes are less than a header")
    length, kind, _, created, sequence, flags, identity, digest, payload_type, size = HEADER.unpack_from(data)
    try:
        name = kind.strip(b"\0 ").decode("ascii")
    except UnicodeDecodeError as error:
        raise MessageError(f"the message type {kind!r} is not text") from error
    payload = data[HEADER.size :]
    if name not in SERVICE_TYPES:
        if length != HEADER_LENGTH:
            raise MessageError(f"the header length is {length}, not {HEADER_LENGTH}")
        if size != len(payload):
            raise MessageError(f"the payload has {len(payload)} bytes, not {size}")
        if size and hashlib.sha256(payload).digest() != digest:
            raise MessageError("the digest is not the payload's")
    found = uuid.UUID(bytes=identity[8:] + identity[:8])
    return Message(name, sequence, payload, payload_type, flags, found, created)


def acknowledgement(of: Message) -> Message:
    content = {
        "AcknowledgedMessageType": of.kind,
        "AcknowledgedMessageId": str(of.message_id),
        "AcknowledgedMessageSequenceNumber": of.sequence,
        "IsSequentialMessage": True,
    }
    return Message(ACKNOWLEDGE, 0, json.dumps(content).encode(), flags=SYN | FIN)


def acknowledged(message: Message) -> int:
    """The sequence number that an acknowledgement names."""
    return _number(_mapping(message), "AcknowledgedMessageSequenceNumber")


def channel_closed(session_id: str, target: str, output: str) -> Message:
    """Tells the client that the session is over; `output` is shown to the user, if there is any."""
    identity = uuid.uuid4()
    content = {
        "MessageId": str(identity),
        "CreatedDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "DestinationId": target,
        "SessionId": session_id,
        "MessageType": CHANNEL_CLOSED,
        "SchemaVersion": SCHEMA_VERSION,
        "Output": output,
    }
    return Message(CHANNEL_CLOSED, 0, json.dumps(content).encode(), flags=SYN | FIN, message_id=identity)


def size_of(message: Message) -> tuple[int, int]:
    """(columns, rows) of a message of type SIZE."""
    content = _mapping(message)
    return _number(content, "cols"), _number(content, "rows")


def flag_of(message: Message) -> int:
    if len(message.payload) != 4:
        raise MessageError(f"a flag has 4 bytes, not {len(message.payload)}")
    return int.from_bytes(message.payload, "big")


def _mapping(message: Message) -> Mapping[str, Any]:
    try:
        content = json.loads(message.payload)
    except ValueError as error:
        raise MessageError(f"the payload of {message.kind} is not JSON") from error
    if not isinstance(content, dict):
        raise MessageError(f"the payload of {message.kind} is not a mapping")
    return content


def _number(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MessageError(f"{name} is {value!r}, not a number")
    return value
