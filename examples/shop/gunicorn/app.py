"""The sample shop as a WSGI application (Python 3.7+): gunicorn serves it, as requirements.lock says."""

import json
import os
import pathlib
import socket
import time
from urllib.parse import parse_qs

LONGEST_SLOW_MS = 30_000

HERE = pathlib.Path(__file__).resolve().parent
VERSION = (HERE / "VERSION").read_text().strip()
HOST = socket.gethostname()
PAGE = (HERE / "page.html").read_text(encoding="utf-8").replace("{{version}}", VERSION).replace("{{host}}", HOST)


def page(_query):
    return "200 OK", "text/html; charset=utf-8", PAGE


def as_json(status, value):
    return status, "application/json", json.dumps(value) + "\n"


def health(_query):
    return as_json("200 OK", {"status": "ok"})


def version(_query):
    return as_json("200 OK", {"version": VERSION, "host": HOST, "pid": os.getpid()})


def slow(query):
    text = query.get("ms", ["1000"])[0]
    if not text.isdigit() or int(text) > LONGEST_SLOW_MS:
        return as_json("400 Bad Request", {"error": f"ms is '{text}'; it takes 0 to {LONGEST_SLOW_MS}"})
    time.sleep(int(text) / 1000)
    return as_json("200 OK", {"waited_ms": int(text), "version": VERSION})


ROUTES = {"/": page, "/health": health, "/version": version, "/slow": slow}


def app(environ, start_response):
    route = ROUTES.get(environ["PATH_INFO"])
    if route is None:
        status, kind, text = as_json("404 Not Found", {"error": f"there is no {environ['PATH_INFO']}"})
    else:
        status, kind, text = route(parse_qs(environ.get("QUERY_STRING", "")))
    body = text.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response(status, headers)
    return [body]
