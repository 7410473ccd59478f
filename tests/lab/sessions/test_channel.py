"""A session from a client's WebSocket to a port: order, loss, back-pressure, reconnection, many at once."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from functools import partial

import pytest

from lab.sessions import message as wire
from lab.sessions.message import Message, PayloadType
from tests.support.channels import MANY, TOKEN, Serving, Sessions, echo, play, pour
from tests.support.session_client import SessionClient


def test_what_a_client_sends_reaches_the_port_and_the_answer_comes_back(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        for n in range(200):
            await client.send(b"%03d" % n)
        await client.wait_for(lambda: len(client.output) == 600)
        await client.wait_for(lambda: not client.unacknowledged)

    sessions.begin(serving(echo))
    client = play(sessions.url(), act)
    assert bytes(client.output) == b"".join(b"%03d" % n for n in range(200))
    assert (client.agent_version, client.session_type, client.properties) == ("3.3.987.0", "Port", {"portNumber": "22"})
    assert sessions.told[0] == "Connected"


def test_output_arrives_whole_though_the_client_stops_reading_for_a_while(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        client.reading.clear()
        await asyncio.sleep(0.7)
        client.reading.set()
        await client.ended.wait()

    sessions.begin(serving(pour))
    client = play(sessions.url(), act)
    assert hashlib.sha256(client.output).digest() == hashlib.sha256(MANY).digest()
    assert client.closed_with == ""
    assert sessions.wait_ended() == "Terminated: the connection on the machine ended"


def test_a_client_that_reads_nothing_stops_the_machines_side(sessions: Sessions, serving: Serving) -> None:
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        while True:
            connection.sendall(bytes(65536))
            sent += 65536

    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        client.reading.clear()
        await asyncio.sleep(1)
        before = sent
        await asyncio.sleep(0.5)
        assert sent == before
        assert sent < 32 * 1024 * 1024

    sessions.begin(serving(endless))
    play(sessions.url(), act)


def test_what_a_client_has_lost_is_sent_again(sessions: Sessions, serving: Serving) -> None:
    lost: set[int] = set()

    def loses(message: Message) -> bool:
        """Every third message, once."""
        first = message.sequence % 3 == 0 and message.sequence not in lost
        lost.add(message.sequence)
        return first

    def talk(connection: socket.socket) -> None:
        for n in range(10):
            connection.sendall(b"%d" % n)
            threading.Event().wait(0.02)

    sessions.begin(serving(talk))
    client = play(sessions.url(), lambda c: c.ended.wait(), loses=loses)
    assert bytes(client.output) == b"0123456789"


def test_a_message_twice_and_messages_out_of_order_are_worked_on_once_and_in_order(
    sessions: Sessions, serving: Serving
) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()  # the handshake's response had number 0
        for number in (3, 1, 1, 4, 2, 2, 1):
            await client.send(b"%d" % number, sequence=number)
        await client.wait_for(lambda: len(client.output) == 4)
        await asyncio.sleep(0.1)

    sessions.begin(serving(echo))
    client = play(sessions.url(), act)
    assert bytes(client.output) == b"1234"
    acknowledged = [kind for kind, _ in client.received if kind == wire.ACKNOWLEDGE]
    assert len(acknowledged) >= 8, "a message that comes again is acknowledged again"


def test_a_broken_message_is_dropped_and_the_session_goes_on(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        broken = bytearray(Message(wire.INPUT, 1, b"evil", PayloadType.OUTPUT).pack())
        broken[-1] ^= 1
        await client.send_raw(bytes(broken))
        await client.send_raw(b"short")
        await client.send(b"good")
        await client.wait_for(lambda: bytes(client.output) == b"good")

    sessions.begin(serving(echo))
    play(sessions.url(), act)


def test_a_dropped_connection_is_taken_up_again_without_loss(sessions: Sessions, serving: Serving) -> None:
    numbers = b"".join(b"%06d\n" % n for n in range(60_000))

    def both(connection: socket.socket) -> None:
        taker = threading.Thread(target=echo, args=(connection,))
        taker.start()
        taker.join()

    async def drop() -> SessionClient:
        client = SessionClient(sessions.url())
        sessions.tokens.update({"second", "third"})
        await client.open(TOKEN)
        await client.ready.wait()
        sending = 0
        for token in ("second", "third", ""):
            for _ in range(200):
                await client.send(numbers[sending : sending + 700])
                sending += 700
            if token:
                await client.close(abruptly=True)
                await asyncio.sleep(0.2)
                await client.open(token)
        await client.wait_for(lambda: len(client.output) == 420_000 and not client.unacknowledged, 20)
        await client.close()
        return client

    sessions.begin(serving(both))
    client = asyncio.run(drop())
    assert bytes(client.output) == numbers[:420_000]
    assert sessions.told[:5] == ["Connected", "Disconnected", "Connected", "Disconnected", "Connected"]


def test_while_no_client_is_there_the_machine_waits_and_nothing_is_lost(sessions: Sessions, serving: Serving) -> None:
    async def drop() -> SessionClient:
        client = SessionClient(sessions.url())
        await client.open(TOKEN)
        await client.ready.wait()
        await client.wait_for(lambda: len(client.output) > 100_000)
        await client.close(abruptly=True)
        await asyncio.sleep(0.5)
        assert not sessions.ended
        await client.open(TOKEN)
        await asyncio.wait_for(client.ended.wait(), 20)
        await client.close()
        return client

    sessions.begin(serving(pour))
    assert bytes(asyncio.run(drop()).output) == MANY


def test_a_second_connection_takes_the_place_of_the_first(sessions: Sessions, serving: Serving) -> None:
    async def two() -> None:
        first = SessionClient(sessions.url())
        await first.open(TOKEN)
        await first.ready.wait()
        second = SessionClient(sessions.url())
        await second.open(TOKEN)
        await asyncio.wait_for(first.ended.wait(), 5)
        await first.close()
        await asyncio.sleep(0.1)
        assert sessions.told == ["Connected", "Connected"]
        await second.close()

    sessions.begin(serving(echo))
    asyncio.run(two())


@pytest.mark.parametrize("session_id", ["lab-1", "lab-2"])
def test_without_the_right_token_nobody_gets_in(sessions: Sessions, serving: Serving, session_id: str) -> None:
    sessions.begin(serving(echo))
    client = play(sessions.url(session_id), lambda c: c.ended.wait(), token="wrong")
    assert client.close_code == 1008
    assert client.received == []
    assert sessions.told == []


def test_a_pause_is_kept_until_the_client_says_start(sessions: Sessions, serving: Serving) -> None:
    go = threading.Event()

    def later(connection: socket.socket) -> None:
        go.wait(5)
        connection.sendall(b"now")
        threading.Event().wait(3)

    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        await asyncio.sleep(0.3)
        await client.send_raw(Message(wire.PAUSE_PUBLICATION, 0, b"").pack())
        await asyncio.sleep(0.1)
        go.set()
        await asyncio.sleep(0.4)
        assert client.output == b""
        await client.send_raw(Message(wire.START_PUBLICATION, 0, b"").pack())
        await client.wait_for(lambda: bytes(client.output) == b"now", 2)

    sessions.begin(serving(later))
    play(sessions.url(), act)


def test_two_hundred_sessions_at_once_need_no_thread_each(sessions: Sessions, serving: Serving) -> None:
    opener = serving(echo)
    for n in range(200):
        sessions.begin(opener, session_id=f"many-{n}")
    before = threading.active_count()

    def answered(client: SessionClient) -> bool:
        return bytes(client.output) == b"hello"

    async def all_of_them() -> int:
        clients = [SessionClient(sessions.url(f"many-{n}")) for n in range(200)]
        for client in clients:
            await client.open(TOKEN)
        await asyncio.gather(*(client.ready.wait() for client in clients))
        for client in clients:
            await client.send(b"hello")
        for client in clients:
            await client.wait_for(partial(answered, client), 20)
        count = threading.active_count()
        for client in clients:
            await client.close()
        return count

    # The echo server of this test has a thread for each connection; what is above those is the data channels' own.
    assert asyncio.run(all_of_them()) - before - 200 < 40
