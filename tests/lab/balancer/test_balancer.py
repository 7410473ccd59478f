"""HAProxy as a load balancer: what clients and servers see, without any AWS."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.balancer.health import HEALTHY, INITIAL, Check, Health, Tally, ask, matches
from lab.balancer.plan import Answer, Condition, Forward, Listener, Plan, Pool, Redirect, Rule, Server
from lab.balancer.process import Balancer
from lab.network import namespaces
from lab.settings import GATEWAY, Settings
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab

ADDRESS = "10.0.4.99"
BAD = Health("unhealthy", "Target.Timeout", "Request timed out")


class Web(ThreadingHTTPServer):
    """A web server inside the lab's network that says which one it is and what it was asked."""

    daemon_threads = True

    def __init__(self, name: str, port: int) -> None:
        self.name, self.asked, self.status = name, 0, 200
        super().__init__((GATEWAY, port), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the load balancer resets is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.path.startswith("/slow"):
            time.sleep(1.5)
        if self.path.startswith("/hang-up"):
            self.close_connection = True
            self.connection.close()
            return
        body = "\n".join([self.server.name, *(f"{k.lower()}: {v}" for k, v in self.headers.items())]).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def webs(bare: Settings) -> Iterator[tuple[Web, Web]]:
    made = namespaces.call(bare.netns_path, lambda: (Web("one", 7001), Web("two", 7002)))
    yield made
    for web in made:
        web.shutdown()
        web.server_close()


@pytest.fixture
def balancer(bare: Settings) -> Iterator[Balancer]:
    made = Balancer(bare, "test")
    yield made
    made.destroy()


def plan(*rules: Rule, sticky: int | None = None) -> Plan:
    default = Rule((), Forward((("web", 1),)))
    pools = (Pool("web", sticky_seconds=sticky), Pool("other"))
    listener = Listener(80, None, "TLSv1.2", (*rules, default))
    return Plan(ADDRESS, 60, "append", (listener,), pools)


ONE, TWO = Server("i-1_7001", GATEWAY, 7001, "ready"), Server("i-2_7002", GATEWAY, 7002, "ready")


def resting(server: Server) -> Server:
    return replace(server, state="maint")


Get = Callable[..., tuple[int, http.client.HTTPMessage, str]]


@pytest.fixture
def get(bare: Settings) -> Get:
    def fetch(path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection(ADDRESS, 80, timeout=10)
        connection.sock = namespaces.connect(bare.netns_path, (ADDRESS, 80), timeout=10)
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, body

    return fetch


def names(get: Get, count: int, path: str = "/") -> Counter[str]:
    return Counter(get(path)[2].split("\n")[0] for _ in range(count))


def test_requests_are_spread_over_ready_servers(balancer: Balancer, webs: Any, get: Get) -> None:
    balancer.apply(plan(), {"web": [ONE, TWO]})
    assert names(get, 10) == {"one": 5, "two": 5}


def test_a_server_is_added_and_removed_without_a_reload(balancer: Balancer, webs: Any, get: Get) -> None:
    balancer.apply(plan(), {"web": [ONE]})
    worker = balancer._worker()
    balancer.apply(plan(), {"web": [ONE, TWO]})
    assert names(get, 4) == {"one": 2, "two": 2}
    balancer.apply(plan(), {"web": [TWO]})
    assert names(get, 4) == {"two": 4}
    assert balancer._worker() == worker


def test_a_server_in_maintenance_finishes_its_request_and_gets_no_new_one(
    balancer: Balancer, webs: Any, get: Get
) -> None:
    balancer.apply(plan(), {"web": [ONE]})
    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(get("/slow")[0]))
    slow.start()
    wait_for("request under way", lambda: balancer.sessions().get(("web", ONE.name)))
    balancer.apply(plan(), {"web": [resting(ONE), TWO]})
    assert names(get, 6) == {"two": 6}
    slow.join()
    assert answers == [200]


def test_a_cookie_keeps_a_client_on_its_server_until_that_is_drained(balancer: Balancer, webs: Any, get: Get) -> None:
    balancer.apply(plan(sticky=3600), {"web": [ONE]})
    balancer.apply(plan(sticky=3600), {"web": [ONE, TWO]})
    wait_for("answer from the added server", lambda: names(get, 4)["two"])
    cookie = next(
        headers["Set-Cookie"].split(";")[0] for _, headers, body in (get() for _ in range(8)) if body.startswith("two")
    )
    assert cookie.startswith("AWSALB=")
    stuck = Counter(get("/", {"Cookie": cookie})[2].split("\n")[0] for _ in range(6))
    assert stuck == {"two": 6}
    balancer.apply(plan(sticky=3600), {"web": [ONE, resting(TWO)]})
    assert get("/", {"Cookie": cookie})[2].startswith("one")


def test_servers_learn_client_and_trace(balancer: Balancer, webs: Any, get: Get) -> None:
    balancer.apply(plan(), {"web": [ONE]})
    seen = dict(line.split(": ", 1) for line in get("/", {"X-Forwarded-For": "192.0.2.1"})[2].split("\n")[1:])
    assert seen["x-forwarded-for"] == f"192.0.2.1, {ADDRESS}"
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("http", "80")
    root, when, unique = seen["x-amzn-trace-id"].split("-")
    assert root == "Root=1"
    assert abs(int(when, 16) - time.time()) < 5
    assert len(unique) == 24


def test_rules_apply_in_order(balancer: Balancer, webs: Any, get: Get) -> None:
    rules = (
        Rule((Condition("path", ("/api/*",)), Condition("header", ("blue*",), "X-Team")), Forward((("other", 1),))),
        Rule((Condition("path", ("/api/*", "/teapot?")),), Answer(418, "text/plain", "short and stout\n")),
        Rule(
            (Condition("host", ("old.example",)),), Redirect(301, "#{protocol}://new.example:#{port}/#{path}?#{query}")
        ),
    )
    balancer.apply(plan(*rules), {"web": [ONE], "other": [TWO]})
    assert get("/api/x", {"X-Team": "Blue-1"})[2].startswith("two")
    assert get("/api/x")[0::2] == (418, "short and stout\n")
    assert get("/teapot1")[0] == 418
    assert get("/teapot")[0] == 200
    status, headers, _ = get("/a/b?c=d%20e", {"Host": "old.example"})
    assert (status, headers["Location"]) == (301, "http://new.example:80/a/b?c=d%20e")


def test_weights_share_out_the_requests(balancer: Balancer, webs: Any, get: Get) -> None:
    weighted = Rule((Condition("path", ("/w",)),), Forward((("web", 80), ("other", 20))))
    balancer.apply(plan(weighted), {"web": [ONE], "other": [TWO]})
    counted = names(get, 300, "/w")
    assert 30 <= counted["two"] <= 95
    only = Rule((Condition("path", ("/w",)),), Forward((("web", 0), ("other", 1))))
    balancer.apply(plan(only), {"web": [ONE], "other": [TWO]})
    assert names(get, 20, "/w") == {"two": 20}


def test_a_new_rule_costs_no_request(balancer: Balancer, webs: Any, get: Get) -> None:
    balancer.apply(plan(), {"web": [ONE, TWO]})
    statuses: list[int] = []
    ends = threading.Event()

    def load() -> None:
        while not ends.is_set():
            statuses.append(get()[0])

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(5):
        rule = Rule((Condition("path", (f"/{number}",)),), Answer(200, "text/plain", "x"))
        balancer.apply(plan(rule), {"web": [ONE, TWO]})
    ends.set()
    for thread in threads:
        thread.join()
    assert len(statuses) > 50
    assert set(statuses) == {200}


def test_a_refused_connection_is_tried_on_another_server(balancer: Balancer, webs: Any, get: Get) -> None:
    closed = Server("i-3_7003", GATEWAY, 7003, "ready")
    balancer.apply(plan(), {"web": [closed, ONE]})
    assert names(get, 6) == {"one": 6}


def test_a_request_that_was_sent_is_not_repeated(balancer: Balancer, webs: tuple[Web, Web], get: Get) -> None:
    balancer.apply(plan(), {"web": [ONE, TWO]})
    before = sum(web.asked for web in webs)
    assert get("/hang-up")[0] == 502
    assert sum(web.asked for web in webs) == before + 1


def test_no_server_means_service_unavailable(balancer: Balancer, webs: Any, get: Get) -> None:
    balancer.apply(plan(), {"web": [resting(ONE)]})
    assert get()[0] == 503


def test_it_comes_back_when_its_process_was_killed(balancer: Balancer, webs: Any, get: Get) -> None:
    balancer.apply(plan(), {"web": [ONE]})
    assert balancer._process is not None
    balancer._process.kill()
    balancer._process.wait()
    assert not balancer.running
    balancer.apply(plan(), {"web": [ONE]})
    assert get()[0] == 200


def test_nothing_is_left_of_a_destroyed_one(bare: Settings, webs: Any) -> None:
    balancer = Balancer(bare, "gone")
    balancer.apply(plan(), {"web": [ONE]})
    balancer.destroy()
    assert not balancer.running
    assert not balancer.directory.exists()
    with pytest.raises(OSError):
        namespaces.connect(bare.netns_path, (ADDRESS, 80), timeout=1)


def check(port: int = 7001, path: str = "/health", codes: str = "200") -> Check:
    return Check(GATEWAY, port, False, path, codes, 5, 1, 3, 2)


def test_a_health_check_tells_what_is_wrong(bare: Settings, webs: tuple[Web, Web]) -> None:
    def asked(one: Check) -> Health:
        return namespaces.call(bare.netns_path, lambda: ask(one))

    assert asked(check()) == HEALTHY
    webs[0].status = 503
    try:
        assert asked(check()).reason == "Target.ResponseCodeMismatch"
        assert asked(check()).description == "Health checks failed with these codes: [503]"
        assert asked(check(codes="200-299,503")) == HEALTHY
    finally:
        webs[0].status = 200
    assert asked(check(path="/slow")).reason == "Target.Timeout"
    assert asked(check(port=7003)).reason == "Target.FailedHealthChecks"


def test_a_new_target_needs_one_success_or_the_unhealthy_threshold() -> None:
    tally = Tally(3, 2)
    tally.count(BAD)
    assert tally.health == INITIAL
    tally.count(HEALTHY)
    assert tally.health == HEALTHY
    other = Tally(3, 2)
    other.count(BAD)
    other.count(BAD)
    assert other.health == BAD


def test_thresholds_count_consecutive_answers() -> None:
    tally = Tally(3, 2)
    tally.count(HEALTHY)
    for answer, state in (
        (BAD, "healthy"), (HEALTHY, "healthy"), (BAD, "healthy"), (BAD, "unhealthy"),
        (HEALTHY, "unhealthy"), (HEALTHY, "unhealthy"), (BAD, "unhealthy"), (HEALTHY, "unhealthy"),
        (HEALTHY, "unhealthy"), (HEALTHY, "healthy"),
    ):  # fmt: skip
        tally.count(answer)
        assert tally.health.state == state


@pytest.mark.parametrize(
    ("codes", "good", "bad"),
    [("200", 200, 201), ("200-399", 302, 400), ("200,404", 404, 403), ("200-299,304", 304, 300)],
)
def test_matchers_are_codes_and_ranges(codes: str, good: int, bad: int) -> None:
    assert matches(codes, good)
    assert not matches(codes, bad)


def test_quotes_in_a_rule_are_refused_not_misread(tmp_path: Path) -> None:
    from lab.balancer.config import render
    from lab.errors import LabError

    with pytest.raises(LabError, match="cannot be matched"):
        render(plan(Rule((Condition("path", ("/it's",)),), Answer(200, "text/plain", ""))), tmp_path, {}, "key")
