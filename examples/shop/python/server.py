"""The sample shop on Python, standard library only (3.7+). Listens on 127.0.0.1:$PORT; logs JSON lines to standard output."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# Connections that nobody uses are closed this long after SIGTERM; by then the proxy has asked again on the busy ones and was told to close.
DRAIN_IDLE_SECONDS = 1
# Longer than the proxy keeps idle connections, so that it is never this side that closes one.
KEEP_ALIVE_SECONDS = 75
LONGEST_SLOW_MS = 30_000

HERE = pathlib.Path(__file__).resolve().parent
VERSION = (HERE / "VERSION").read_text().strip()
HOST = socket.gethostname()
PAGE = (HERE / "page.html").read_text(encoding="utf-8").replace("{{version}}", VERSION).replace("{{host}}", HOST)


def log(event: str, **details: object) -> None:
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": event,
        "version": VERSION,
        "pid": os.getpid(),
    }
    print(json.dumps({**line, **details}), flush=True)


class Shop(ThreadingHTTPServer):
    request_queue_size = 511
    daemon_threads = True
    # Threads of idle connections must not hold up the end; stop() waits for the busy ones.
    block_on_close = False

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.draining = False
        self.connections = {}  # type: dict[Handler, bool]
        self.lock = threading.Lock()

    def stop(self) -> None:
        """Lets requests end; connections without one are closed after a moment."""
        self.draining = True
        log("draining", signal="SIGTERM")
        self.shutdown()
        self.server_close()
        idle_end = time.monotonic() + DRAIN_IDLE_SECONDS
        while self.connections:
            with self.lock:
                idle = [handler for handler, busy in self.connections.items() if not busy]
            if time.monotonic() >= idle_end:
                for handler in idle:
                    handler.close()
            time.sleep(0.05)
        log("stopped")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = KEEP_ALIVE_SECONDS
    server: Shop

    def setup(self) -> None:
        super().setup()
        self.mark(False)

    def finish(self) -> None:
        with self.server.lock:
            self.server.connections.pop(self, None)
        super().finish()

    def mark(self, busy: bool) -> None:
        with self.server.lock:
            self.server.connections[self] = busy

    def close(self) -> None:
        # The other side may be faster.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        self.mark(True)
        url = urlsplit(self.path)
        route = {"/": self.page, "/health": self.health, "/version": self.version, "/slow": self.slow}.get(url.path)
        if route is None:
            self.send_json(404, {"error": f"there is no {url.path}"})
        else:
            route(parse_qs(url.query))
        self.mark(False)

    def page(self, _query: dict) -> None:
        self.send(200, "text/html; charset=utf-8", PAGE)

    def health(self, _query: dict) -> None:
        self.send_json(503 if self.server.draining else 200, {"status": "draining" if self.server.draining else "ok"})

    def version(self, _query: dict) -> None:
        self.send_json(200, {"version": VERSION, "host": HOST, "pid": os.getpid()})

    def slow(self, query: dict) -> None:
        text = query.get("ms", ["1000"])[0]
        if not text.isdigit() or int(text) > LONGEST_SLOW_MS:
            self.send_json(400, {"error": f"ms is '{text}'; it takes 0 to {LONGEST_SLOW_MS}"})
            return
        time.sleep(int(text) / 1000)
        self.send_json(200, {"waited_ms": int(text), "version": VERSION})

    def send_json(self, status: int, value: dict) -> None:
        self.send(status, "application/json", json.dumps(value) + "\n")

    def send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.server.draining:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Requests are in the proxy's log."""


def main() -> None:
    port = int(os.environ.get("PORT", "3000"))
    shop = Shop(port)
    stopper = threading.Thread(target=shop.stop)

    def on_sigterm(_signal: int, _frame: object) -> None:
        if not shop.draining:
            shop.draining = True
            stopper.start()

    signal.signal(signal.SIGTERM, on_sigterm)
    log("listening", port=port)
    shop.serve_forever(poll_interval=0.05)
    stopper.join()


if __name__ == "__main__":
    sys.exit(main())
