"""One session's data channel: the handshake, then bytes between a client's WebSocket and an endpoint, until one of them ends.

What amazon-ssm-agent does (agent/session/datachannel, agent/session/plugins) and what the service between it and the client does are one
here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lab.sessions import message as wire
from lab.sessions.endpoints import Endpoint, EndpointError, Opener
from lab.sessions.message import Flag, Message, MessageError, PayloadType
from lab.sessions.stream import RESEND_INTERVAL, Arrival, Incoming, Outgoing

log = logging.getLogger("lab.sessions")

HANDSHAKE_SECONDS = 15
"""datachannel.go, handshakeTimeout"""
FIRST_CLIENT_SECONDS = 60
"""How long a session waits for a client that never comes. AWS: a token "is valid only long enough to ensure the connection"."""
DRAIN_SECONDS = 2
"""datachannel.go, PrepareToCloseChannel"""
BLOCK = 32 * 1024
"""Bytes of output in one message. The agent reads 1 KiB a millisecond; clients take any size."""
SUCCEEDED = 1
"""handshakemessage.go, ActionStatus"""
INACTIVE = "Your session timed out due to inactivity."
TOO_LONG = "Your session has reached its maximum duration."

Final = Literal["Terminated", "Failed"]


class HandshakeError(Exception):
    """The client did not take part as it should; the text is shown to the user."""


class Socket(Protocol):
    """A client's WebSocket: binary messages only. Sending raises ConnectionError when the client has gone."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes | None:
        """None when the connection has ended."""

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Events:
    """Called from the event loop; must not block."""

    connected: Callable[[], None]
    disconnected: Callable[[], None]
    ended: Callable[[Final, str], None]
    """Status and reason."""


@dataclass(frozen=True)
class Plan:
    """What a session is."""

    session_id: str
    target: str
    session_type: Literal["Port", "Standard_Stream"]
    properties: Mapping[str, Any]
    agent_version: str
    open: Opener
    alive: Callable[[], bool]
    """Whether the machine still runs."""
    events: Events
    idle_seconds: float
    longest_seconds: float | None = None
    clock: Callable[[], float] = field(default=time.monotonic)


class Channel:
    """All methods belong to the event loop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ended = asyncio.Event()
        self._outgoing, self._incoming = Outgoing(), Incoming()
        self._socket: Socket | None = None
        self._paused = False
        self._ending = False
        self._endpoint: Endpoint | None = None
        self._opened = asyncio.Event()
        self._answered: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._may_send, self._unacknowledged = asyncio.Event(), asyncio.Event()
        self._started: float | None = None
        self._made = self._active = plan.clock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._task(self._watch())

    async def serve(self, client: Socket) -> None:
        """One connection of the client, until it ends. A later connection takes the place of this one."""
        earlier, self._socket, self._paused = self._socket, client, False
        if earlier is not None:
            await earlier.close()
        self.plan.events.connected()
        if self._started is None:
            self._started = self.plan.clock()
            self._task(self._run())
            self._task(self._retransmit())
        else:
            for data in self._outgoing.resume(self.plan.clock()):
                await self._transmit(data)
        self._update()
        while self._socket is client and (received := await client.receive()) is not None:
            await self._received(received)
        if self._socket is client:
            self._socket = None
            self._update()
            if not self.ended.is_set():
                self.plan.events.disconnected()

    def finish(self, status: Final, reason: str, output: str = "") -> None:
        """Ends the session, once; `output` is what the client shows."""
        if not self._ending:
            self._ending = True
            self._task(self._finish(status, reason, output))

    async def _finish(self, status: Final, reason: str, output: str) -> None:
        self._opened.set()
        if self._endpoint is not None:
            self._endpoint.close()
        await self._drain()
        self.plan.events.ended(status, reason)
        log.info("session %s on %s: %s: %s", self.plan.session_id, self.plan.target, status, reason)
        self.ended.set()
        if self._socket is not None:
            await self._transmit(wire.channel_closed(self.plan.session_id, self.plan.target, output).pack())
            await self._socket.close()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    async def _drain(self) -> None:
        """Waits until the client has what was sent before the end, not for long."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._socket is not None and not self._outgoing.empty and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    # From the machine to the client

    async def _run(self) -> None:
        try:
            await self._handshake()
            self._endpoint = await self.plan.open()
        except (HandshakeError, EndpointError) as error:
            self.finish("Failed", str(error), str(error))
            return
        self._opened.set()
        while not self._ending:
            await self._may_send.wait()
            if not (data := await self._endpoint.read(BLOCK)):
                break
            self._active = self.plan.clock()
            await self._send(PayloadType.OUTPUT, data)
        self.finish("Terminated", "the connection on the machine ended")

    async def _handshake(self) -> None:
        began = self.plan.clock()
        parameters = {"SessionType": self.plan.session_type, "Properties": dict(self.plan.properties)}
        request = {
            "AgentVersion": self.plan.agent_version,
            "RequestedClientActions": [{"ActionType": "SessionType", "ActionParameters": parameters}],
        }
        await self._send(PayloadType.HANDSHAKE_REQUEST, json.dumps(request).encode())
        try:
            answer = await asyncio.wait_for(self._answered, HANDSHAKE_SECONDS)
        except TimeoutError as error:
            raise HandshakeError(
                "Handshake timed out. Please ensure that you have the latest version of the session manager plugin."
            ) from error
        for action in answer.get("ProcessedClientActions") or []:
            if action.get("ActionStatus") != SUCCEEDED:
                raise HandshakeError(
                    f"{action.get('ActionType')} failed on client with status {action.get('ActionStatus')} error: {action.get('Error')}"
                )
        took = {"HandshakeTimeToComplete": int((self.plan.clock() - began) * 1e9), "CustomerMessage": ""}
        await self._send(PayloadType.HANDSHAKE_COMPLETE, json.dumps(took).encode())

    async def _send(self, payload_type: PayloadType, payload: bytes) -> None:
        data = self._outgoing.add(payload_type, payload, self.plan.clock())
        self._update()
        if not self._paused:
            await self._transmit(data)

    async def _transmit(self, data: bytes) -> None:
        """What does not arrive is sent again: to this client by `_retransmit`, to the next one by `serve`."""
        if self._socket is not None:
            try:
                await self._socket.send(data)
            except ConnectionError:
                log.debug("session %s: the client has gone", self.plan.session_id)

    async def _retransmit(self) -> None:
        while True:
            await self._unacknowledged.wait()
            await asyncio.sleep(RESEND_INTERVAL)
            if not self._paused and self._socket is not None:
                for data in self._outgoing.due(self.plan.clock()):
                    await self._transmit(data)
            self._update()

    def _update(self) -> None:
        """While nobody listens, or too much waits for an acknowledgement, the endpoint is not read."""
        _set(self._may_send, self._socket is not None and not self._paused and self._outgoing.room)
        _set(self._unacknowledged, not self._outgoing.empty)

    # From the client to the machine

    async def _received(self, data: bytes) -> None:
        try:
            message = wire.unpack(data)
            await self._take(message)
        except MessageError as error:
            log.warning("session %s: a message is dropped: %s", self.plan.session_id, error)

    async def _take(self, message: Message) -> None:
        """dataChannelIncomingMessageHandler: any message of the stream ends a pause."""
        self._paused = message.kind == wire.PAUSE_PUBLICATION
        match message.kind:
            case wire.INPUT:
                await self._input(message)
            case wire.ACKNOWLEDGE:
                self._outgoing.acknowledge(wire.acknowledged(message), self.plan.clock())
        self._update()

    async def _input(self, message: Message) -> None:
        arrival = self._incoming.arrive(message)
        if arrival is Arrival.REFUSED:
            return
        if arrival is not Arrival.NEXT:
            await self._transmit(wire.acknowledgement(message).pack())
            return
        await self._work(message)
        await self._transmit(wire.acknowledgement(message).pack())
        while (early := self._incoming.done()) is not None:
            await self._work(early)

    async def _work(self, message: Message) -> None:
        if message.payload_type == PayloadType.HANDSHAKE_RESPONSE:
            self._response(message)
            return
        if not self._answered.done():
            return  # processStreamDataMessage: before the handshake is complete, other data is dropped
        self._active = self.plan.clock()
        await self._opened.wait()
        if self._endpoint is None or self._ending:
            return
        match message.payload_type:
            case PayloadType.OUTPUT:
                await self._endpoint.write(message.payload)
            case PayloadType.SIZE:
                self._endpoint.resize(*wire.size_of(message))
            case PayloadType.FLAG if wire.flag_of(message) == Flag.TERMINATE_SESSION:
                self.finish("Terminated", "the client ended the session")
            case PayloadType.FLAG if wire.flag_of(message) == Flag.DISCONNECT_TO_PORT:
                self._endpoint.close()

    def _response(self, message: Message) -> None:
        try:
            answer = json.loads(message.payload)
        except ValueError as error:
            raise MessageError("the handshake's response is not JSON") from error
        if not isinstance(answer, dict):
            raise MessageError("the handshake's response is not a mapping")
        if not self._answered.done():
            self._answered.set_result(answer)

    # Limits

    async def _watch(self) -> None:
        """Ends the session when no client comes, nothing is said for too long, or it has lasted too long."""
        plan = self.plan
        while True:
            if self._started is None:
                limits = [(self._made + FIRST_CLIENT_SECONDS, "no client connected", "")]
            else:
                limits = [(self._active + plan.idle_seconds, "idle", INACTIVE)]
                if plan.longest_seconds is not None:
                    limits.append((self._started + plan.longest_seconds, "maximum duration", TOO_LONG))
            end, reason, output = min(limits)
            if (left := end - plan.clock()) <= 0:
                self.finish("Terminated", reason, output)
                return
            await asyncio.sleep(min(left, 1.0) + 0.01)

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("session %s broke", self.plan.session_id, exc_info=error)
            self.finish("Failed", repr(error))


def _set(event: asyncio.Event, value: bool) -> None:
    if value:
        event.set()
    else:
        event.clear()
