"""Nginx with its default values before two application servers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fleet_testing import Load, eventually, request

SECURITY_HEADERS = (
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "permissions-policy",
    "x-request-id",
)


@contextmanager
def stopped(host: Any, *ports: int) -> Iterator[None]:
    units = " ".join(f"upstream@{port}" for port in ports)
    host.run_expect([0], f"systemctl stop {units}")
    try:
        yield
    finally:
        host.run_expect([0], f"systemctl start {units}")
        assert eventually(lambda: request(host, "/health").status == 200)


def drops(host: Any) -> int:
    """How many requests for /drop the two application servers have seen."""
    found = host.check_output("for p in 3000 3001; do curl -s http://127.0.0.1:$p/drops; done")
    return sum(json.loads(part + "}")["drops"] for part in found.split("}") if part)


def test_both_servers_get_requests(host: Any) -> None:
    assert {request(host, "/echo").json["port"] for _ in range(6)} == {3000, 3001}


def test_the_application_learns_the_client_and_nobody_can_lie_about_it(host: Any) -> None:
    seen = request(host, "/echo", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}).json[
        "headers"
    ]
    assert seen["x-forwarded-for"] == "10.0.0.1"
    assert seen["x-forwarded-proto"] == "http"


def test_the_request_id_is_the_same_for_application_client_and_log(host: Any) -> None:
    answer = request(host, "/echo", headers={"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678"})
    request_id = answer.headers["x-request-id"]
    assert answer.json["headers"]["x-request-id"] == request_id
    line = json.loads(host.check_output(f"grep {request_id} /var/log/nginx/access.log"))
    assert line["trace_id"] == "Root=1-67891233-abcdef012345678912345678"
    assert (line["client"], line["status"], line["uri"]) == ("10.0.0.1", 200, "/echo")


@pytest.mark.parametrize("path", ["/echo", "/health", "/busy"])
def test_every_answer_has_the_security_headers_and_no_version(host: Any, path: str) -> None:
    headers = request(host, path).headers
    assert [name for name in SECURITY_HEADERS if name not in headers] == []
    assert headers["server"] == "nginx"
    assert "strict-transport-security" not in headers


def test_long_answers_are_compressed(host: Any) -> None:
    assert request(host, "/long", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"


def test_an_answer_of_the_application_itself_passes_through(host: Any) -> None:
    answer = request(host, "/busy")
    assert answer.status == 503
    assert "port" in answer.json


def test_health_says_unready_while_the_host_is_drained(host: Any) -> None:
    assert request(host, "/health").status == 200
    host.run_expect([0], "touch /run/nginx-draining")
    try:
        assert request(host, "/health").status == 503
        assert request(host, "/echo").status == 200
    finally:
        host.run_expect([0], "rm /run/nginx-draining")
    assert request(host, "/health").status == 200


def test_no_request_fails_while_one_server_is_gone(host: Any) -> None:
    with stopped(host, 3000):
        assert [request(host, "/echo", method=method).status for method in ("GET", "POST") * 10] == [200] * 20
        assert request(host, "/health").status == 200


def test_without_any_server_the_page_is_shown_at_once(host: Any) -> None:
    with stopped(host, 3000, 3001):
        begin = time.monotonic()
        answer = request(host, "/")
        assert time.monotonic() - begin < 2
        assert answer.status == 503
        assert answer.headers["retry-after"] == "10"
        assert "<h1>We&#39;ll be right back</h1>" in answer.text
        assert [name for name in SECURITY_HEADERS if name not in answer.headers] == []
        assert request(host, "/health").status == 503


def test_a_request_that_changes_something_is_never_sent_twice(host: Any) -> None:
    before = drops(host)
    assert request(host, "/drop", method="POST").status == 503
    assert drops(host) == before + 1
    # nginx counts whole seconds: a server that failed is back within two.
    time.sleep(2.1)
    request(host, "/drop")
    assert drops(host) == before + 3


def test_reloads_under_load_lose_no_request(host: Any) -> None:
    """From clients that keep their connections, as a load balancer does: one that was closed between two requests is opened again."""
    with Load(host, workers=4) as load:
        for _ in range(8):
            host.run_expect([0], "systemctl reload nginx")
            time.sleep(0.15)
    assert load.failed == []
    assert load.answered > 300


def test_status_and_configuration_are_for_the_host_only(host: Any) -> None:
    assert "Active connections" in host.check_output("curl -s http://127.0.0.1:8081/status")
    # nginx itself listens on the loopback only; the packet filter would keep others out too.
    assert host.check_output("ss -Hltn 'sport = :8081' | awk '{print $4}'").split() == ["127.0.0.1:8081"]
    with pytest.raises(OSError, match=r"refused|timed out"):
        request(host, "/status", port=8081)


def test_nginx_starts_at_boot(host: Any) -> None:
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled
