"""The framing of data channel messages."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.sessions import message as wire
from lab.sessions.message import HEADER, Message, MessageError, PayloadType, unpack

KINDS = (wire.INPUT, wire.OUTPUT, wire.ACKNOWLEDGE, wire.CHANNEL_CLOSED)
messages = st.builds(
    Message,
    kind=st.sampled_from(KINDS),
    sequence=st.integers(0, 2**63 - 1),
    payload=st.binary(max_size=3000),
    payload_type=st.integers(0, 12),
    flags=st.integers(0, 3),
    message_id=st.uuids(),
    created=st.integers(1, 2**63 - 1),
)


@given(messages)
def test_what_is_packed_is_unpacked_again(message: Message) -> None:
    assert unpack(message.pack()) == message


@given(messages, st.data())
def test_a_message_that_is_cut_off_is_refused(message: Message, data: st.DataObject) -> None:
    packed = message.pack()
    with pytest.raises(MessageError):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(messages.filter(lambda m: m.payload), st.data())
def test_a_payload_that_was_changed_on_its_way_is_refused(message: Message, data: st.DataObject) -> None:
    packed = bytearray(message.pack())
    packed[data.draw(st.integers(HEADER.size, len(packed) - 1))] ^= 1
    with pytest.raises(MessageError, match="digest"):
        unpack(bytes(packed))


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else_than_a_message_error(data: bytes) -> None:
    try:
        unpack(data)
    except MessageError as error:
        assert str(error)


def test_the_header_lies_where_the_plugin_reads_it() -> None:
    identity = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    packed = Message(wire.OUTPUT, 5, b"hello", PayloadType.OUTPUT, 1, identity, 1_700_000_000_000).pack()
    assert len(packed) == 120 + 5
    assert packed[:4] == (116).to_bytes(4, "big")
    assert packed[4:36] == b"output_stream_data" + b" " * 14
    assert packed[36:40] == (1).to_bytes(4, "big")
    assert packed[40:48] == (1_700_000_000_000).to_bytes(8, "big")
    assert packed[48:56] == (5).to_bytes(8, "big")
    assert packed[56:64] == (1).to_bytes(8, "big")
    assert packed[64:80] == bytes.fromhex("8899aabbccddeeff0011223344556677"), "the less significant half comes first"
    assert packed[80:112] == hashlib.sha256(b"hello").digest()
    assert packed[112:116] == (1).to_bytes(4, "big")
    assert packed[116:120] == (5).to_bytes(4, "big")


def test_a_message_type_that_is_padded_with_zeros_is_read_too() -> None:
    packed = bytearray(Message(wire.INPUT, 0, b"x", 1).pack())
    packed[4:36] = wire.INPUT.encode().ljust(32, b"\0")
    assert unpack(bytes(packed)).kind == wire.INPUT


def test_an_acknowledgement_names_what_it_acknowledges() -> None:
    message = Message(wire.OUTPUT, 77, b"x", 1)
    ack = unpack(wire.acknowledgement(message).pack())
    assert (ack.kind, ack.flags, wire.acknowledged(ack)) == (wire.ACKNOWLEDGE, 3, 77)
    assert str(message.message_id).encode() in ack.payload


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"AcknowledgedMessageSequenceNumber": "1"}', b"\xff"])
def test_an_acknowledgement_without_a_number_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        wire.acknowledged(Message(wire.ACKNOWLEDGE, 0, payload))


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"cols": true, "rows": 2}', b"80x24"])
def test_a_size_without_columns_and_rows_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        wire.size_of(Message(wire.INPUT, 0, payload, PayloadType.SIZE))


def test_a_flag_has_four_bytes() -> None:
    assert wire.flag_of(Message(wire.INPUT, 0, b"\0\0\0\2", PayloadType.FLAG)) == wire.Flag.TERMINATE_SESSION
    with pytest.raises(MessageError):
        wire.flag_of(Message(wire.INPUT, 0, b"\2", PayloadType.FLAG))
