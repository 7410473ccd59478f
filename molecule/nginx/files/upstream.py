"""An application that tells what it was asked. /echo: request headers and port; /drop: closes without an answer; /drops: how often."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(sys.argv[1])
drops = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        path = self.path.split("?")[0]
        if path == "/drop":
            drops.append(self.command)
            self.close_connection = True
            return
        status, value = 200, {"port": PORT, "headers": {name.lower(): text for name, text in self.headers.items()}}
        if path == "/drops":
            value = {"drops": len(drops)}
        elif path == "/busy":
            status = 503
        elif path == "/long":
            value["filler"] = "abcdefgh" * 1000
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
