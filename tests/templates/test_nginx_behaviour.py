"""What clients get from a real nginx with the role's configuration, before an application that tells what it was asked."""

from __future__ import annotations

import ast
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.ports import free_port
from tests.support.real_nginx import Nginx

Render = Callable[..., str]
ROLE = Path(__file__).resolve().parents[2] / "roles/nginx"
TEMPLATE = "etc/nginx/nginx.conf.j2"


class Application(BaseHTTPRequestHandler):
    """Answers with the headers that it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/download":
            self.trickle()
        elif self.headers.get("Upgrade") == "websocket":
            self.echo()
        else:
            self.tell()

    def trickle(self) -> None:
        """30 bytes in three seconds."""
        self.send_response(200)
        self.send_header("Content-Length", "30")
        self.end_headers()
        for _ in range(30):
            time.sleep(0.1)
            self.wfile.write(b"x")
            self.wfile.flush()

    def echo(self) -> None:
        """Gives back each line of an upgraded connection."""
        self.send_response(101)
        self.send_header("Connection", "upgrade")
        self.send_header("Upgrade", "websocket")
        self.end_headers()
        for line in self.rfile:
            self.wfile.write(line)
        self.close_connection = True

    def tell(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


class Site:
    """nginx as the role configures it, on ports of its own."""

    def __init__(self, render: Render, folder: Path, application: int) -> None:
        self.render, self.application = render, application
        self.port, self.status_port = free_port(), free_port()
        self.nginx = Nginx(folder)

    def text(self, **values: Any) -> str:
        first = {"name": "app", "servers": [f"127.0.0.1:{self.application}"]} | values.pop("app", {})
        given = {
            "upstreams": [first],
            "port": self.port,
            "status_port": self.status_port,
            "real_ip_from": ["127.0.0.1"],
            **values,
        }
        return self.render("nginx", TEMPLATE, **{f"nginx_{name}": value for name, value in given.items()})

    def ask(
        self, path: str, headers: Mapping[str, str] | None = None, host: str = "127.0.0.1"
    ) -> tuple[int, dict[str, str], bytes]:
        """As from a load balancer that ends TLS."""
        connection = http.client.HTTPConnection(host, self.port, timeout=20)
        try:
            connection.request(
                "GET", path, headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7", **(headers or {})}
            )
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@pytest.fixture
def site(render: Render, tmp_path: Path, application: int) -> Site:
    return Site(render, tmp_path, application)


def server(content: str, context: str = "server") -> dict[str, Any]:
    return {"snippets": [{"name": "own", "context": context, "content": content}]}


SECURITY = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "strict-origin-when-cross-origin",
}
PASSED_ON = {"host": "127.0.0.1", "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}


@pytest.mark.parametrize(
    "content",
    [
        "location /own { add_header X-Own 1; return 200; }",
        "location /own {\n    if ($request_method = GET) {\n        add_header X-Own 1;\n        return 200;\n    }\n}",
        "location /o { location /own { add_header 'X-Own' \"1\" always; return 200; } }",
        "location = /own { add_header X-Own 1; proxy_pass http://app; }",
        "location ~ ^/ow[n]$ { # a comment with { and ;\n add_header X-Own 1; proxy_pass http://app; }",
    ],
)
def test_a_snippets_own_header_costs_none_of_the_security_headers(site: Site, content: str) -> None:
    with site.nginx.running(site.text(**server(content))):
        _status, headers, _body = site.ask("/own")
    assert headers["x-own"] == "1"
    assert {name: headers.get(name) for name in SECURITY} == SECURITY


@pytest.mark.parametrize(
    "values", [{"app": {"websocket": True}}, {"app": {"balance": "sticky"}}, {"micro_cache_seconds": 1}, {}]
)
@pytest.mark.parametrize("context", ["http", "server"])
def test_headers_directly_in_http_or_server_reach_every_location_and_cost_nothing(
    site: Site, context: str, values: dict[str, Any]
) -> None:
    content = "add_header X-Own 1;\nadd_header x-frame-options DENY;\nproxy_set_header X-To-App 1;"
    with site.nginx.running(site.text(**values, **server(content, context))):
        _status, headers, body = site.ask("/")
        _status, health, _body = site.ask("/health")
    expected = SECURITY | {"x-own": "1", "x-frame-options": "DENY"}
    assert {name: headers.get(name) for name in expected} == expected
    assert {name: health.get(name) for name in expected} == expected
    assert json.loads(body).items() >= {**PASSED_ON, "x-to-app": "1"}.items()


@pytest.mark.parametrize(
    ("content", "own"),
    [
        ("location /own { proxy_set_header X-To-App 1; proxy_pass http://app; }", {"x-to-app": "1"}),
        ("location /own { proxy_set_header Host shop.example; proxy_pass http://app; }", {"host": "shop.example"}),
        ("location /own { proxy_set_header X-Forwarded-For ''; proxy_pass http://app; }", {"x-forwarded-for": None}),
    ],
)
def test_a_header_to_the_application_costs_none_of_the_others(site: Site, content: str, own: dict[str, Any]) -> None:
    with site.nginx.running(site.text(**server(content))):
        seen = json.loads(site.ask("/own")[2])
    expected = PASSED_ON | own
    assert {name: seen.get(name) for name in expected} == expected


def test_a_page_of_its_own_for_one_error_leaves_the_page_for_the_others(site: Site) -> None:
    content = "location /own { error_page 404 = @none; return 502; } location @none { return 200 none; }"
    gone = "location = /gone { error_page 502 = @none; return 502; }"
    with site.nginx.running(site.text(**server(content + gone))):
        assert site.ask("/own")[::2] == (503, b"back soon\n")
        assert site.ask("/gone")[::2] == (200, b"none")


def upgraded(site: Site) -> Any:
    """The file of a WebSocket's connection, after its handshake."""
    sock = socket.create_connection(("127.0.0.1", site.port), 20)
    lines = ("GET /socket HTTP/1.1", "Host: shop", "Connection: Upgrade", "Upgrade: websocket", "", "")
    sock.sendall("\r\n".join(lines).encode())
    stream = sock.makefile("rwb")
    assert b"101" in stream.readline()
    while stream.readline().strip():
        pass
    return stream


def echoed(stream: Any) -> bytes:
    """What comes back; nothing from a connection that was closed."""
    try:
        stream.write(b"ping\n")
        stream.flush()
        return bytes(stream.readline())
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("seconds", "served"), [({}, True), ({"shutdown_seconds": 0}, True), ({"shutdown_seconds": 1}, False)]
)
def test_downloads_and_websockets_survive_a_reload_for_as_long_as_promised(
    site: Site, seconds: dict[str, int], served: bool
) -> None:
    values = {"app": {"websocket": True}, "upstream_read_seconds": 1, **seconds}
    got: list[bytes] = []

    def download() -> None:
        try:
            got.append(site.ask("/download")[2])
        except (OSError, http.client.HTTPException):
            got.append(b"")

    with site.nginx.running(site.text(**values)):
        stream = upgraded(site)
        thread = threading.Thread(target=download)
        thread.start()
        time.sleep(0.3)
        site.nginx.reload(site.text(**values, hsts_seconds=5))
        thread.join(20)
        assert site.ask("/")[1]["strict-transport-security"].startswith("max-age=5;")
        assert (len(got[0]) == 30, echoed(stream) == b"ping\n") == (served, served)


def test_ipv6_is_served_only_where_asked_for(site: Site) -> None:
    with site.nginx.running(site.text()), pytest.raises(OSError, match="refused"):
        site.ask("/", host="::1")
    with site.nginx.running(site.text(ipv6=True, real_ip_from=["127.0.0.1", "::1"])):
        seen = [json.loads(site.ask("/", host=host)[2])["x-forwarded-for"] for host in ("127.0.0.1", "::1")]
    assert seen == ["192.0.2.7"] * 2


def checksum(*paths: Path | str) -> str:
    """What the role's task prints for these files."""
    task = yaml.safe_load((ROLE / "tasks/configure.yml").read_text())[0]["ansible.builtin.command"]["argv"]
    argv = ast.literal_eval(task[task.index("[") : task.index("]") + 1])
    return subprocess.run([*argv, *map(str, paths)], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", ["site.pem", "a site's.pem", "-n.pem"])
@pytest.mark.parametrize("pattern", ["{}", "*.pem", "[as-]*.pem"])
def test_a_file_renewed_under_the_same_name_changes_the_configuration(
    render: Render, tmp_path: Path, name: str, pattern: str
) -> None:
    folder = tmp_path / "of nginx"
    folder.mkdir()
    texts = []
    for content in ("one", "two", "two"):
        (folder / name).write_text(content)
        result = {"stdout": checksum(f"{folder}/{pattern.format(name)}")}
        texts.append(render("nginx", TEMPLATE, __nginx_files_checksum=result))
    assert texts[0] != texts[1] == texts[2]
    assert "two" not in texts[2]


def test_a_file_that_is_not_there_or_has_come_is_no_error(tmp_path: Path) -> None:
    before = checksum(tmp_path / "a", f"{tmp_path}/*.conf")
    (tmp_path / "b.conf").touch()
    assert checksum(tmp_path / "a", f"{tmp_path}/*.conf") != before
