"""An application that tells what it was asked. /echo: request headers and its own name; /drop: closes without an answer; /drops: how often.

Its name is the port that it listens on, or `socket` on /run/upstream.sock.
"""

import itertools
import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1]
SOCKET = Path("/run/upstream.sock")
drops = []
counter = itertools.count()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body leave in one packet.
    wbufsize = 65536

    def answer(self) -> None:
        path = self.path.split("?")[0].removeprefix("/api")
        if path == "/drop":
            drops.append(self.command)
            self.close_connection = True
            return
        status, value = 200, {"port": PORT, "headers": {name.lower(): text for name, text in self.headers.items()}}
        if path == "/drops":
            value = {"drops": len(drops)}
        elif path == "/count":
            value = {"count": next(counter)}
        elif path == "/busy":
            status = 503
        elif path == "/long":
            value["filler"] = "abcdefgh" * 1000
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if "login" in self.path:
            self.send_header("Set-Cookie", "session=1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


class SocketServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):  # type: ignore[no-untyped-def]
        """The handler wants a client address, which a socket has not."""
        return self.socket.accept()[0], ("socket", 0)


if isinstance(PORT, int):
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
else:
    SOCKET.unlink(missing_ok=True)
    server = SocketServer(str(SOCKET), Handler)
    # nginx connects as a user of its own.
    SOCKET.chmod(0o666)
    server.serve_forever()
