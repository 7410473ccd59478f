"""Nginx with other than its default values: two applications, TLS, files of its own, limits, a cache, own directives."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from fleet_testing import Answer, address, eventually, request

PORT, TLS_PORT = 8080, 8443
SESSION = {"Cookie": "session=mine"}
"""A client that the application knows; nothing is answered from the cache for it."""
clients = count(1)


def ask(host: Any, path: str, *, client: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
    """As the load balancer passes it on from a client that came by https; each request from another client unless it is named."""
    passed = {"X-Forwarded-For": client or f"203.0.113.{next(clients) % 250}", "X-Forwarded-Proto": "https"}
    return request(host, path, port=PORT, headers={**passed, **(headers or {})}, **more)


def handshake(host: Any, version: ssl.TLSVersion) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(socket.create_connection((address(host), TLS_PORT), timeout=10))


def test_it_listens_where_it_should_and_only_there(host: Any) -> None:
    assert request(host, "/health", port=PORT).status == 200
    with pytest.raises(OSError, match="refused"):
        request(host, "/health")


def test_the_load_balancer_is_believed_about_the_client(host: Any) -> None:
    answer = ask(host, "/echo", client="198.51.100.9")
    assert answer.json["headers"]["x-forwarded-for"] == "198.51.100.9"
    assert answer.json["headers"]["x-forwarded-proto"] == "https"
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


def test_one_client_above_its_rate_gets_429_and_others_do_not(host: Any) -> None:
    greedy = [ask(host, "/api/echo", client="198.51.100.1") for _ in range(40)]
    assert [answer.status for answer in greedy[:10]] == [200] * 10
    refused = [answer for answer in greedy if answer.status == 429]
    assert refused != []
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json == {"error": "too many requests"}
    assert refused[0].headers["x-content-type-options"] == "nosniff"
    assert ask(host, "/api/echo").status == 200


def test_health_is_never_limited_or_redirected(host: Any) -> None:
    assert [request(host, "/health", port=PORT).status for _ in range(40)] == [200] * 40


def test_own_directives_are_in_effect(host: Any) -> None:
    assert ask(host, "/robots.txt").text == "own"


def test_a_client_keeps_its_server_by_a_cookie_that_says_nothing(host: Any) -> None:
    first = ask(host, "/echo", headers=SESSION)
    cookie = first.headers["set-cookie"]
    assert re.fullmatch("fleet_route=[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Lax; Secure", cookie)
    headers = {"Cookie": cookie.split(";")[0] + "; session=mine"}
    again = [ask(host, "/echo", headers=headers) for _ in range(8)]
    assert {answer.json["port"] for answer in again} == {first.json["port"]}
    assert [answer for answer in again if "set-cookie" in answer.headers] == []
    assert {ask(host, "/echo", headers=SESSION).json["port"] for _ in range(30)} == {3000, 3001}


def test_another_server_takes_over_a_client_whose_own_is_gone(host: Any) -> None:
    first = ask(host, "/echo", headers=SESSION)
    headers = {"Cookie": first.headers["set-cookie"].split(";")[0] + "; session=mine"}
    gone = first.json["port"]
    host.run_expect([0], f"systemctl stop upstream@{gone}")
    try:
        assert {ask(host, "/echo", headers=headers).json["port"] for _ in range(4)} == {3000 + 3001 - gone}
    finally:
        host.run_expect([0], f"systemctl start upstream@{gone}")


def test_paths_go_to_their_own_servers_and_the_same_key_to_the_same_one(host: Any) -> None:
    seen = {
        customer: {ask(host, f"/api/echo?customer={customer}&n={n}").json["port"] for n in range(3)}
        for customer in range(20)
    }
    assert {len(ports) for ports in seen.values()} == {1}
    assert set().union(*seen.values()) == {3002, "socket"}


def test_only_websocket_is_upgraded_and_only_where_asked_for(host: Any) -> None:
    def passed(path: str, protocol: str) -> tuple[str | None, str | None]:
        asked = {"Connection": "Upgrade", "Upgrade": protocol, **SESSION}
        headers = ask(host, path, headers=asked).json["headers"]
        return headers.get("connection"), headers.get("upgrade")

    assert passed("/echo", "websocket") == ("upgrade", "websocket")
    assert passed("/echo", "h2c") == (None, None)
    assert passed("/api/echo", "websocket") == (None, None)


@pytest.mark.parametrize(
    ("name", "lifetime"),
    [
        ("style.css", "public, max-age=3600"),
        ("index.html", "no-cache"),
        ("app.0123abcd.js", "public, max-age=31536000, immutable"),
    ],
)
def test_files_may_be_kept_as_long_as_their_type_and_name_allow(host: Any, name: str, lifetime: str) -> None:
    answer = ask(host, f"/assets/{name}")
    assert (answer.status, answer.headers["cache-control"]) == (200, lifetime)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ask(host, f"/assets/{name}", headers={"If-None-Match": answer.headers["etag"]}).status == 304


@pytest.mark.parametrize("path", ["/assets/.env", "/assets/.git/config", "/assets/none.css"])
def test_nothing_else_of_the_directory_is_given_away(host: Any, path: str) -> None:
    answer = ask(host, path)
    assert answer.status in (403, 404)
    assert "PASSWORD" not in answer.text
    assert "immutable" not in answer.headers.get("cache-control", "")


def test_unknown_clients_share_an_answer_for_a_second(host: Any) -> None:
    first = ask(host, "/api/count?customer=7")
    again = ask(host, "/api/count?customer=7")
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("MISS", "HIT")
    assert first.text == again.text
    # nginx counts whole seconds, and renews an answer behind the back of the one who gets the old one.
    assert eventually(lambda: ask(host, "/api/count?customer=7").json["count"] > first.json["count"], seconds=4)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("cookie", SESSION),
        ("token", {"Authorization": "Bearer x"}),
        ("login", {}),
    ],
)
def test_answers_for_one_client_are_never_shared(host: Any, query: str, headers: dict[str, str]) -> None:
    counts = {ask(host, f"/api/count?customer=8&{query}", headers=headers).json["count"] for _ in range(3)}
    assert len(counts) == 3


def test_clients_that_came_without_tls_are_sent_to_https(host: Any) -> None:
    answer = request(host, "/echo?a=1", port=PORT, headers={"Host": "shop.example"})
    assert (answer.status, answer.headers["location"]) == (308, "https://shop.example/echo?a=1")


def test_the_modern_profile_speaks_tls_1_3_with_http_2_and_nothing_older(host: Any) -> None:
    with handshake(host, ssl.TLSVersion.TLSv1_3) as connection:
        assert connection.version() == "TLSv1.3"
        assert connection.selected_alpn_protocol() == "h2"
    with pytest.raises(ssl.SSLError):
        handshake(host, ssl.TLSVersion.TLSv1_2)


def test_a_request_over_tls_is_served_and_logged_with_its_version(host: Any) -> None:
    url = f"https://127.0.0.1:{TLS_PORT}/api/echo?customer=tls"
    assert json.loads(host.check_output(f"curl -ksS '{url}'"))["headers"]["x-forwarded-proto"] == "https"
    line = json.loads(host.check_output("grep customer=tls /var/log/nginx/access.log | tail -1"))
    assert line["tls"] == "TLSv1.3"


def test_the_key_is_for_root_only(host: Any) -> None:
    mode = host.check_output("stat -c '%a %U' /etc/nginx/tls /etc/nginx/tls/*.pem").splitlines()
    assert mode[0] == "700 root"
    assert set(mode[1:]) == {"600 root"}


def test_brotli_is_used_where_its_module_is(host: Any) -> None:
    headers = ask(host, "/api/long", headers={"Accept-Encoding": "br"}).headers
    assert headers["content-encoding"] == "br"


def test_a_body_above_the_limit_is_refused(host: Any) -> None:
    command = f"head -c 1100000 /dev/zero | curl -sk -o /dev/null -w '%{{http_code}}' --data-binary @- https://127.0.0.1:{TLS_PORT}/echo"
    assert host.check_output(command) == "413"
