"""How a session ends or never begins, and sessions on a terminal."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.sessions import channel as channels
from lab.sessions import endpoints
from lab.sessions.endpoints import EndpointError
from lab.sessions.message import PayloadType
from tests.support.channels import Serving, Sessions, echo, play, silent
from tests.support.session_client import SessionClient


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


def test_a_shell_whose_process_outside_was_stopped_is_woken(
    sessions: Sessions, shell: Callable[..., endpoints.Opener]
) -> None:
    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        await client.send(b"kill -STOP $$; echo still $((40 + 2))\r")
        await client.wait_for(lambda: b"still 42" in client.output)

    sessions.begin(shell(), session_type="Standard_Stream", properties={})
    play(sessions.url(), act)


def test_a_shell_that_cannot_be_started_fails_the_session_with_the_reason(sessions: Sessions) -> None:
    def missing() -> endpoints.Started:
        raise EndpointError("failed to start pty since RunAs user nobody1 does not exist")

    sessions.begin(endpoints.terminal(missing), session_type="Standard_Stream")
    client = play(sessions.url(), lambda c: c.ended.wait())
    assert "RunAs user nobody1" in str(client.closed_with)
