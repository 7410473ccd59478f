"""A client of a data channel as session-manager-plugin is one, with faults to inject: what it drops, when it loses its connection."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import aiohttp

from lab.sessions import message as wire
from lab.sessions.message import Message, PayloadType

CLIENT_VERSION = "1.2.707.0"


class SessionClient:
    """`open` and `close` any number of times: numbers and unacknowledged input go on as those of the plugin do."""

    def __init__(self, url: str, *, loses: Callable[[Message], bool] = lambda _: False) -> None:
        self.url = url
        self.output = bytearray()
        self.sizes: list[int] = []
        self.closed_with: str | None = None
        """What ChannelClosed said."""
        self.agent_version = ""
        self.session_type = ""
        self.properties: dict[str, Any] = {}
        self.received: list[tuple[str, int]] = []
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.close_code: int | None = None
        self.reading = asyncio.Event()
        """Cleared: the client reads nothing, as one whose standard output is blocked."""
        self.reading.set()
        self._loses = loses
        self._expected = self._next = 0
        self._early: dict[int, Message] = {}
        self.unacknowledged: dict[int, bytes] = {}
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, token: str) -> None:
        self.ended.clear()
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(
            self.url, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=1)
        )
        opening = {
            "MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": token, "ClientId": str(uuid.uuid4()),
            "ClientVersion": CLIENT_VERSION,
        }  # fmt: skip
        await self._socket.send_str(json.dumps(opening))
        self._tasks = [asyncio.create_task(self._read(self._socket)), asyncio.create_task(self._resend())]

    async def close(self, *, abruptly: bool = False) -> None:
        for task in self._tasks:
            task.cancel()
        if self._socket is not None and abruptly:
            self._socket._response.connection.transport.abort()  # type: ignore[union-attr]
        elif self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
        self._socket = self._session = None

    async def send(
        self, payload: bytes, payload_type: PayloadType = PayloadType.OUTPUT, sequence: int | None = None
    ) -> None:
        number = self._next if sequence is None else sequence
        self._next = max(self._next, number + 1)
        data = Message(wire.INPUT, number, payload, payload_type).pack()
        self.unacknowledged[number] = data
        await self.send_raw(data)

    async def send_raw(self, data: bytes) -> None:
        assert self._socket is not None
        await self._socket.send_bytes(data)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self.reading.wait()
            received = await socket.receive()
            if received.type is not aiohttp.WSMsgType.BINARY:
                self.close_code = socket.close_code
                self.ended.set()
                return
            await self._take(wire.unpack(received.data))

    async def _resend(self) -> None:
        """As the plugin does, but all of them."""
        while True:
            await asyncio.sleep(0.3)
            for data in list(self.unacknowledged.values()):
                await self.send_raw(data)

    async def _take(self, message: Message) -> None:
        self.received.append((message.kind, message.sequence))
        if message.kind == wire.ACKNOWLEDGE:
            self.unacknowledged.pop(wire.acknowledged(message), None)
        elif message.kind == wire.CHANNEL_CLOSED:
            self.closed_with = json.loads(message.payload)["Output"]
        elif message.kind == wire.OUTPUT and not self._loses(message):
            await self._output(message)

    async def _output(self, message: Message) -> None:
        """What it has had already is dropped without an acknowledgement, as the plugin does."""
        if message.sequence < self._expected:
            return
        await self.send_raw(wire.acknowledgement(message).pack())
        self._early[message.sequence] = message
        while (found := self._early.pop(self._expected, None)) is not None:
            self._expected += 1
            await self._work(found)

    async def _work(self, message: Message) -> None:
        match message.payload_type:
            case PayloadType.HANDSHAKE_REQUEST:
                asked = json.loads(message.payload)
                action = asked["RequestedClientActions"][0]["ActionParameters"]
                self.agent_version, self.session_type, self.properties = (
                    asked["AgentVersion"], action["SessionType"], action["Properties"]
                )  # fmt: skip
                await self.respond()
            case PayloadType.HANDSHAKE_COMPLETE:
                self.ready.set()
            case PayloadType.OUTPUT:
                self.output += message.payload
                self.sizes.append(len(message.payload))

    async def respond(self, status: int = 1) -> None:
        done = {
            "ActionType": "SessionType",
            "ActionStatus": status,
            "ActionResult": None,
            "Error": "" if status == 1 else "no",
        }
        answer = {"ClientVersion": CLIENT_VERSION, "ProcessedClientActions": [done], "Errors": None}
        await self.send(json.dumps(answer).encode(), PayloadType.HANDSHAKE_RESPONSE)

    async def wait_for(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
