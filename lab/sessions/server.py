"""The WebSocket endpoint of all sessions of a lab, in one thread with an event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from lab.sessions.channel import Channel, Final, Plan

log = logging.getLogger("lab.sessions")

PATH = "/v1/data-channel/{session_id}"
TOKEN_SECONDS = 15
"""How long a client may take to show its token."""
LARGEST_MESSAGE_BYTES = 1024 * 1024
CLOSE_SECONDS = 2
"""How long a client may take to answer the end of its connection."""
CHECK_SECONDS = 1.0
END_SECONDS = 5

Authorize = Callable[[str, str, str], bool]
"""Session id, token and the request's `Authorization` header → whether they open this session's data channel."""


class ChannelServer:
    """`begin`, `terminate` and `close` may be called from any thread."""

    def __init__(self, address: str, port: int, authorize: Authorize) -> None:
        self._authorize = authorize
        self._channels: dict[str, Channel] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="data-channels", daemon=True)
        self._thread.start()
        self._runner = self._call(self._listen(address, port)).result()
        self._checking = self._call(self._check())

    def begin(self, plan: Plan) -> None:
        """From now on a client can connect."""
        self._call(self._begin(plan)).result()

    def terminate(self, session_id: str) -> None:
        """Ends a session; returns once it has ended. One that has ended already, or never was, changes nothing."""
        self._call(self._end(session_id, "Terminated", "TerminateSession")).result()

    def close(self) -> None:
        """Ends all sessions and the server."""
        self._checking.cancel()
        self._call(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self, address: str, port: int) -> web.AppRunner:
        app = web.Application()
        app.router.add_get(PATH, self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, address, port, backlog=512).start()
        return runner

    async def _begin(self, plan: Plan) -> None:
        self._channels[plan.session_id] = Channel(plan)

    async def _end(self, session_id: str, status: Final, reason: str) -> None:
        if (channel := self._channels.pop(session_id, None)) is not None:
            channel.finish(status, reason)
            await asyncio.wait_for(channel.ended.wait(), END_SECONDS)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for channel in list(self._channels.values()):
                if channel.ended.is_set():
                    del self._channels[channel.plan.session_id]
                elif not channel.plan.alive():
                    channel.finish("Terminated", f"{channel.plan.target} is not running")

    async def _close(self) -> None:
        names = list(self._channels)
        await asyncio.gather(*(self._end(name, "Terminated", "the lab goes down") for name in names))
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        session_id = request.match_info["session_id"]
        socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE_BYTES, timeout=CLOSE_SECONDS, compress=False)
        await socket.prepare(request)
        token = await _token(socket)
        channel = self._channels.get(session_id)
        if (
            token is None
            or channel is None
            or channel.ended.is_set()
            or not self._authorize(session_id, token, _signature(request))
        ):
            log.warning("data channel %s: the client showed no valid token", session_id)
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"The token is not valid for this session.")
            return socket
        await channel.serve(_Client(socket))
        return socket


def _signature(request: web.Request) -> str:
    """Newer clients sign the request for the WebSocket (session-manager-plugin 1.3, websocketchannel.go); older ones do not."""
    return request.headers.get("Authorization", "")


async def _token(socket: web.WebSocketResponse) -> str | None:
    """TokenValue of OpenDataChannelInput, which is the first message, as text (streaming.go, FinalizeDataChannelHandshake)."""
    try:
        first = await socket.receive(timeout=TOKEN_SECONDS)
    except TimeoutError:
        return None
    if first.type is not WSMsgType.TEXT:
        return None
    try:
        given = json.loads(first.data)
    except ValueError:
        return None
    token = given.get("TokenValue") if isinstance(given, dict) else None
    return token if isinstance(token, str) else None


class _Client:
    """aiohttp's WebSocket as a channel's client."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def receive(self) -> bytes | None:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                return bytes(message.data)
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return None

    async def close(self) -> None:
        await self._socket.close()
