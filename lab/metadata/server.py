"""The instance metadata service at 169.254.169.254: HTTP, tokens (IMDSv2), hop limit. It knows an instance by the address that asks.

Behaviour after the EC2 User Guide: "Use the Instance Metadata Service to access instance metadata", "Instance metadata categories".
An instance's metadata comes from a callback: this package knows nothing of EC2's records.
"""

from __future__ import annotations

import math
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.metadata import tree
from lab.metadata.tree import NO_KEYS, InstanceMetadata, ManagedKeys, RoleCredentials
from lab.settings import IMDS_ADDRESS

LONGEST_TOKEN_SECONDS = 21600
CREDENTIALS_RENEWED = timedelta(minutes=10)
"""Before they expire, a role's credentials are replaced by new ones."""
HEADER = "X-aws-ec2-metadata-token"
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"

Lookup = Callable[[str], InstanceMetadata | None]
IssueCredentials = Callable[[InstanceMetadata, str], RoleCredentials]
KeysOf = Callable[[InstanceMetadata], ManagedKeys]


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    hop_limit: int | None = None
    """How many routers the answer may pass; None is the system's own default."""


class Service:
    """Answers requests; free of sockets, so that a test can ask it directly."""

    def __init__(
        self,
        lookup: Lookup,
        issue: IssueCredentials,
        clock: Callable[[], float] = time.monotonic,
        *,
        keys_of: KeysOf = lambda meta: NO_KEYS,
    ) -> None:
        self._lookup = lookup
        self._keys_of = keys_of
        self._clock = clock
        self._issue = issue
        self._tokens: dict[str, tuple[str, float]] = {}
        """Token → the instance that it was given to, the clock's time when it ends."""
        self._credentials: dict[tuple[str, str], RoleCredentials] = {}
        """(Instance, role) → what was handed out last."""
        self._change = threading.Lock()

    def put(self, path: str, headers: dict[str, str], source: str) -> Answer:
        """PUT /latest/api/token. `headers` have lower-case names."""
        meta = self._lookup(source)
        if meta is None:
            return Answer(HTTPStatus.NOT_FOUND)
        if not meta.enabled or "x-forwarded-for" in headers:
            return Answer(HTTPStatus.FORBIDDEN)
        if path != "/latest/api/token":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        ttl = headers.get(TTL_HEADER.lower(), "")
        if not (ttl.isascii() and ttl.isdigit() and 1 <= int(ttl) <= LONGEST_TOKEN_SECONDS):
            return Answer(HTTPStatus.BAD_REQUEST)
        token = secrets.token_urlsafe(40) + "=="
        now = self._clock()
        with self._change:
            self._tokens = {t: v for t, v in self._tokens.items() if v[1] > now}
            self._tokens[token] = (meta.instance_id, now + int(ttl))
        return Answer(HTTPStatus.OK, token.encode(), ((TTL_HEADER, ttl),), hop_limit=meta.hop_limit)

    def get(self, path: str, headers: dict[str, str], source: str) -> Answer:
        meta = self._lookup(source)
        if meta is None:
            return Answer(HTTPStatus.NOT_FOUND)
        if not meta.enabled:
            return Answer(HTTPStatus.FORBIDDEN)
        token = headers.get(HEADER.lower())
        if token is None and meta.tokens_required:
            return Answer(HTTPStatus.UNAUTHORIZED)
        extra: tuple[tuple[str, str], ...] = ()
        if token is not None:
            left = self._seconds_left(token, meta.instance_id)
            if left <= 0:
                return Answer(HTTPStatus.UNAUTHORIZED)
            extra = ((TTL_HEADER, str(left)),)
        found = tree.read(meta, path, self._role_credentials, self._keys_of(meta))
        return Answer(HTTPStatus.NOT_FOUND) if found is None else Answer(HTTPStatus.OK, found, extra)

    def _role_credentials(self, meta: InstanceMetadata, role: str) -> RoleCredentials:
        with self._change:
            current = self._credentials.get((meta.instance_id, role))
            if current is None or current.expires - datetime.now(UTC) < CREDENTIALS_RENEWED:
                current = self._credentials[meta.instance_id, role] = self._issue(meta, role)
            return current

    def _seconds_left(self, token: str, instance_id: str) -> int:
        with self._change:
            owner, end = self._tokens.get(token, ("", 0.0))
        return math.ceil(end - self._clock()) if owner == instance_id else 0


class MetadataServer(ThreadingHTTPServer):
    """Listens in the network namespace of the thread that makes it. `serve_forever` in a thread; `shutdown` ends it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, service: Service, address: str = IMDS_ADDRESS, port: int = 80) -> None:
        self.service = service
        super().__init__((address, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A machine that ends in the middle of a request is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MetadataServer
    timeout = 30

    def do_GET(self) -> None:
        self._answer(self.server.service.get(self._path(), self._headers(), self.client_address[0]))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(self.server.service.put(self._path(), self._headers(), self.client_address[0]))

    def version_string(self) -> str:
        return "EC2ws"

    def log_message(self, format: str, *args: Any) -> None:
        """Machines ask all the time; nobody reads it."""

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value.strip() for name, value in self.headers.items()}

    def _answer(self, answer: Answer) -> None:
        body = answer.body if answer.status == HTTPStatus.OK else _error_page(answer.status)
        if answer.hop_limit is not None:
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, answer.hop_limit)
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/plain" if answer.status == HTTPStatus.OK else "text/html")
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _error_page(status: HTTPStatus) -> bytes:
    return f"<html><head><title>{status} - {status.phrase}</title></head><body>{status.phrase}</body></html>\n".encode()
