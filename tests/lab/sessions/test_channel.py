"""A session from a client's WebSocket to a port or a terminal: what goes right, and every way in which it ends or breaks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.sessions import channel as channels
from lab.sessions import endpoints
from lab.sessions import message as wire
from lab.sessions.endpoints import EndpointError
from lab.sessions.message import Message, PayloadType
from tests.lab.sessions.conftest import TOKEN, Sessions
from tests.support.session_client import SessionClient

Serving = Callable[[Callable[[socket.socket], None]], endpoints.Opener]
MANY = os.urandom(4 * 1024 * 1024)


def echo(connection: socket.socket) -> None:
    while block := connection.recv(65536):
        connection.sendall(block)


def pour(connection: socket.socket) -> None:
    connection.sendall(MANY)


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def play(url: str, act: Callable[[SessionClient], Awaitable[Any]], token: str = TOKEN, **options: Any) -> SessionClient:
    """Connects a client, does something with it, and leaves."""
    client = SessionClient(url, **options)

    async def run() -> None:
        await client.open(token)
        try:
            await act(client)
        finally:
            await client.close()

    asyncio.run(run())
    return client


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


def test_a_client_that_sends_the_terminate_flag_ends_the_session(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        await client.send((2).to_bytes(4, "big"), PayloadType.FLAG)
        await client.ended.wait()

    sessions.begin(serving(silent))
    client = play(sessions.url(), act)
    assert client.closed_with == ""
    assert sessions.wait_ended() == "Terminated: the client ended the session"


def test_terminate_ends_a_session_and_tells_its_client(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        await asyncio.to_thread(sessions.server.terminate, "lab-1")
        assert sessions.ended == ["Terminated: TerminateSession"]
        await client.ended.wait()

    sessions.begin(serving(silent))
    assert play(sessions.url(), act).closed_with == ""
    sessions.server.terminate("lab-1")  # once more changes nothing
    assert play(sessions.url(), lambda c: c.ended.wait()).close_code == 1008


def test_a_port_on_which_nothing_listens_fails_the_session_with_the_reason(sessions: Sessions) -> None:
    def refused() -> socket.socket:
        raise ConnectionRefusedError(111, "Connection refused")

    sessions.begin(endpoints.port(refused))
    client = play(sessions.url(), lambda c: c.ended.wait())
    assert client.closed_with == "Unable to connect to specified port: Connection refused"
    assert sessions.wait_ended().startswith("Failed: Unable to connect")


def test_a_client_that_refuses_the_session_type_fails_the_session(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        client.respond = lambda status=1: SessionClient.respond(client, 3)  # type: ignore[method-assign]
        await client.ended.wait()

    sessions.begin(serving(echo))
    client = play(sessions.url(), act)
    assert client.closed_with == "SessionType failed on client with status 3 error: no"


def test_a_client_that_does_not_answer_the_handshake_fails_the_session(
    sessions: Sessions, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "HANDSHAKE_SECONDS", 0.3)

    async def nothing(status: int = 1) -> None:
        pass

    async def act(client: SessionClient) -> None:
        client.respond = nothing  # type: ignore[method-assign]
        await client.ended.wait()

    sessions.begin(serving(echo))
    assert "Handshake timed out" in str(play(sessions.url(), act).closed_with)


def test_a_session_on_which_nothing_is_said_times_out(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        for _ in range(6):
            await asyncio.sleep(0.3)
            await client.send(b"x")
        assert not client.ended.is_set(), "input keeps it"
        await asyncio.wait_for(client.ended.wait(), 5)

    sessions.begin(serving(echo), idle_seconds=0.8)
    assert play(sessions.url(), act).closed_with == channels.INACTIVE
    assert sessions.wait_ended() == "Terminated: idle"


def test_a_disconnected_session_times_out_too(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()

    sessions.begin(serving(echo), idle_seconds=0.8)
    play(sessions.url(), act)
    assert sessions.wait_ended() == "Terminated: idle"


def test_a_session_ends_at_its_maximum_duration_whatever_is_said(sessions: Sessions, serving: Serving) -> None:
    async def act(client: SessionClient) -> None:
        while not client.ended.is_set():
            await asyncio.sleep(0.1)
            await client.send(b"x") if client.ready.is_set() and not client.ended.is_set() else None

    sessions.begin(serving(echo), longest_seconds=0.8)
    assert play(sessions.url(), act).closed_with == channels.TOO_LONG


def test_a_session_that_no_client_ever_opens_ends(
    sessions: Sessions, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "FIRST_CLIENT_SECONDS", 0.2)
    sessions.begin(serving(echo))
    assert sessions.wait_ended() == "Terminated: no client connected"


def test_a_session_ends_with_its_machine(sessions: Sessions, serving: Serving) -> None:
    runs = True

    async def act(client: SessionClient) -> None:
        nonlocal runs
        await client.ready.wait()
        runs = False
        await asyncio.wait_for(client.ended.wait(), 5)

    sessions.begin(serving(silent), alive=lambda: runs)
    play(sessions.url(), act)
    assert sessions.wait_ended() == "Terminated: i-1 is not running"


def test_a_shell_has_a_terminal_of_the_clients_size(sessions: Sessions, shell: Callable[..., endpoints.Opener]) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        await client.send(b'{"cols": 123, "rows": 45}', PayloadType.SIZE)
        await client.send(b"stty size; tty; echo $profile; exit\r")
        await client.ended.wait()

    sessions.begin(shell(b"profile=set\n"), session_type="Standard_Stream", properties={})
    client = play(sessions.url(), act)
    assert b"45 123" in client.output
    assert b"/dev/pts/" in client.output
    assert b"\nset\r" in client.output
    assert client.session_type == "Standard_Stream"
    assert sessions.wait_ended().startswith("Terminated")


def test_the_processes_of_a_shell_go_with_its_session(
    sessions: Sessions, shell: Callable[..., endpoints.Opener]
) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        await client.send(b"echo pid=$$=; sleep 300\r")
        await client.wait_for(lambda: client.output.count(b"pid=") > 1)
        await asyncio.to_thread(sessions.server.terminate, "lab-1")

    sessions.begin(shell(), session_type="Standard_Stream", properties={})
    client = play(sessions.url(), act)
    pid = int(bytes(client.output).rpartition(b"pid=")[2].split(b"=")[0])
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        threading.Event().wait(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_shell_that_cannot_be_started_fails_the_session_with_the_reason(sessions: Sessions) -> None:
    def missing() -> endpoints.Started:
        raise EndpointError("failed to start pty since RunAs user nobody1 does not exist")

    sessions.begin(endpoints.terminal(missing), session_type="Standard_Stream")
    client = play(sessions.url(), lambda c: c.ended.wait())
    assert "RunAs user nobody1" in str(client.closed_with)


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
