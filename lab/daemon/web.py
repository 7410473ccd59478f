"""The lab's HTTP servers: the AWS API (WSGI) and the package repositories (files)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any

log = logging.getLogger("lab.web")


class FileServer(ThreadingHTTPServer):
    """Serves a directory, read only, following its links."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, directory: Path, address: str, port: int) -> None:
        super().__init__((address, port), partial(_FileHandler, directory=str(directory)))


class _FileHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Machines fetch packages all the time; nobody reads it."""


def api_server(app: Callable[..., Any], address: str, port: int) -> BaseServer:
    """A threaded server for moto's application, which it serves with moto's own request handler."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: PLC0415 - importing moto takes seconds
    from werkzeug.serving import make_server  # noqa: PLC0415

    class Handler(MotoRequestHandler):  # type: ignore[misc]
        timeout = 120

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Only what failed in the lab itself."""
            if str(code).startswith("5"):
                log.error("%s %s: %s", self.command, self.path, code)

    return make_server(address, port, app, threaded=True, request_handler=Handler)


class Serving:
    """Servers that run, each in a thread of its own, until `close`."""

    def __init__(self) -> None:
        self._servers: list[BaseServer] = []

    def add(self, server: BaseServer, name: str) -> None:
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, name=name, daemon=True).start()

    def close(self) -> None:
        for server in reversed(self._servers):
            with suppress(OSError):
                server.shutdown()
                server.server_close()
