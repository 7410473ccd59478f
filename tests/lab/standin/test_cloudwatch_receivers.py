"""What applications send to the stand-in of the CloudWatch agent, and what the lab's CloudWatch makes of it. No machine needed."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

LIBRARY = Path(__file__).resolve().parents[3] / "lab/standin/agents/cloudwatch/root/opt/aws/amazon-cloudwatch-agent/lib"
sys.path.insert(0, str(LIBRARY))

from cloudwatch_standin import config, receivers, relay, statsd  # noqa: E402
from cloudwatch_standin.aws import AwsError  # noqa: E402
from cloudwatch_standin.journal import Journal  # noqa: E402

from tests.support.embedded_metrics import EMF  # noqa: E402
from tests.support.ports import free_port  # noqa: E402


def trace(receiver: str, **settings: Any) -> dict[str, Any]:
    return {"traces": {"traces_collected": {receiver: settings}}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"metrics": {"metrics_collected": {"statsd": {"address": ":8125"}}}}, "Additional property address"),
        ({"metrics": {"metrics_collected": {"statsd": {"service_address": 8125}}}}, "Expected: string"),
        ({"metrics": {"metrics_collected": {"statsd": {"metrics_aggregation_interval": -1}}}}, "between 0 and"),
        ({"logs": {"metrics_collected": {"emf": {"service_address": "127.0.0.1:25888"}}}}, "invalid service split"),
        ({"traces": {}}, "at least 1 property"),
        (trace("zipkin"), "Additional property zipkin"),
        (trace("xray", address="127.0.0.1:2000"), "Additional property address"),
        (trace("xray", tcp_proxy={"bind_address": 2000}), "Expected: string"),
        (trace("otlp", grpc_endpoint="localhost"), "has no port"),
    ],
)
def test_the_checker_refuses_a_wrong_receiver(document: dict[str, Any], message: str) -> None:
    (problem,) = config.problems(document)
    assert message in problem


def test_the_checker_takes_the_receivers_as_they_are_documented() -> None:
    assert config.problems({"metrics": {"metrics_collected": {"statsd": {}}}}) == []
    assert config.problems({"logs": {"metrics_collected": {"emf": {}}}}) == []
    assert config.problems(trace("xray")) + config.problems({"traces": {"traces_collected": {"otlp": [{}]}}}) == []


def test_statsd_lines_are_added_up_by_name_kind_and_tags() -> None:
    totals = statsd.Totals()
    assert (
        totals.add("orders:1|c\norders:1|c|@0.5|#page:cart\norders:2|c\nload:3|g\nload:4|g\ntook:5|ms\ntook:7|ms") == []
    )
    assert totals.add("users:a|s\nusers:b|s\nusers:a|s\nnonsense\nx:y|c") == ["nonsense", "x:y|c"]
    data = {
        (d["name"], d["dimensions"].get("page")): (d["values"], d["dimensions"]["metric_type"]) for d in totals.take({})
    }
    assert data == {
        ("orders", None): ([3.0], "counter"),
        ("orders", "cart"): ([2.0], "counter"),
        ("load", None): ([4.0], "gauge"),
        ("took", None): ([5.0, 7.0], "timing"),
        ("users", None): ([2.0], "set"),
    }
    assert totals.take({}) == []


def test_receivers_take_what_comes_and_refuse_what_they_do_not_ship() -> None:
    udp, tcp, xray = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    proxy, grpc, http = (free_port(socket.SOCK_STREAM) for _ in range(3))
    document = {
        "metrics": {"metrics_collected": {"statsd": {"service_address": f"127.0.0.1:{udp}"}}},
        "logs": {"metrics_collected": {"emf": {"service_address": f"tcp://127.0.0.1:{tcp}"}}},
        "traces": {
            "traces_collected": {
                "xray": {"bind_address": f"127.0.0.1:{xray}", "tcp_proxy": {"bind_address": f"127.0.0.1:{proxy}"}},
                "otlp": {"grpc_endpoint": f"127.0.0.1:{grpc}", "http_endpoint": f"127.0.0.1:{http}"},
            }
        },
    }
    inbox = receivers.Inbox()
    assert len(receivers.start(document, inbox)) == 6
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"orders:1|c", ("127.0.0.1", udp))
        sender.sendto(b'{"format": "json", "version": 1}\n{"id": "1"}', ("127.0.0.1", xray))
        sender.sendto(b'{"id": "2"}', ("127.0.0.1", xray))
    with socket.create_connection(("127.0.0.1", tcp), 5) as sender:
        sender.sendall(b'{"a": 1}\n')
    with socket.create_connection(("127.0.0.1", http), 5) as asker:
        asker.sendall(b"POST /v1/traces HTTP/1.1\r\n")
        assert b"501" in asker.recv(100)
    assert inbox.statsd.get(timeout=5) == "orders:1|c"
    assert inbox.segments.get(timeout=5) == '{"id": "1"}'
    assert inbox.emf.get(timeout=5) == '{"a": 1}'
    notes = {inbox.notes.get(timeout=5), inbox.notes.get(timeout=5)}
    assert any("not shipped" in note for note in notes)
    assert any("without the header" in note for note in notes)
    with pytest.raises(OSError, match="in use"):
        receivers.start({"metrics": document["metrics"]}, inbox)


class Service:
    """Stands where AWS stands; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.got = failures, []  # type: int, list[Any]

    def put(self, *arguments: Any) -> list[str]:
        if self.failures:
            self.failures -= 1
            raise AwsError("no answer")
        self.got.append([list(part) if isinstance(part, list) else part for part in arguments])
        return []


def test_what_could_not_be_sent_waits_and_goes_out_later(tmp_path: Path) -> None:
    inbox, metrics, events, traces = receivers.Inbox(), Service(failures=1), Service(), Service()
    where = relay.Target(namespace="Shop", interval=60, stream="i-1", dimensions={"InstanceId": "i-1"})
    log: Any = Journal(tmp_path / "log")
    sent = relay.Relay(inbox, where, events, metrics, traces, log)
    inbox.statsd.put("orders:1|c")
    inbox.emf.put(json.dumps(EMF))
    inbox.emf.put("no document")
    inbox.segments.put("{}")
    now = time.monotonic()
    sent.step(now)
    assert metrics.got == events.got == traces.got == []
    sent.step(now + relay.RETRY_SECONDS)
    assert metrics.got[0][1][0]["dimensions"] == {"InstanceId": "i-1", "metric_type": "counter"}
    assert [events.got[0][0], events.got[0][1]] == ["/shop/metrics", "i-1"]
    assert traces.got == [[["{}"]]]
    assert "not in the embedded metric format" in (tmp_path / "log").read_text()
