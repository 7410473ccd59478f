"""What the receivers took, on its way to CloudWatch, CloudWatch Logs and X-Ray. What can't be sent waits for the next attempt."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudwatch_standin.aws import AwsError, Logs, Metadata, Metrics, Traces
from cloudwatch_standin.journal import Journal
from cloudwatch_standin.receivers import Inbox, drain
from cloudwatch_standin.statsd import Totals
from cloudwatch_standin.tail import resolved

RETRY_SECONDS = 5.0
KEPT = 10_000
"""Documents that wait at most; older ones are dropped with a line in the log."""
DEFAULT_EMF_GROUP = "emf/logs/default"
SEGMENTS_PER_CALL = 25
DIMENSIONS = {
    "InstanceId": "meta-data/instance-id",
    "InstanceType": "meta-data/instance-type",
    "ImageId": "meta-data/ami-id",
}
"""Of `append_dimensions`, those that the metadata service knows. The real agent asks EC2 for AutoScalingGroupName."""


@dataclass
class Target:
    """What `document` says about where things go."""

    namespace: str
    interval: float
    stream: str
    dimensions: Mapping[str, str]


def target(document: dict[str, Any], names: Mapping[str, str], metadata: Metadata) -> Target:
    metrics = document.get("metrics", {})
    statsd = metrics.get("metrics_collected", {}).get("statsd", {})
    asked = metrics.get("append_dimensions", {}) if statsd else {}
    return Target(
        namespace=metrics.get("namespace", "CWAgent"),
        interval=float(statsd.get("metrics_aggregation_interval", 60)),
        stream=resolved(document.get("logs", {}).get("log_stream_name", "{instance_id}"), names),
        dimensions={name: metadata.get(path) for name, path in DIMENSIONS.items() if name in asked},
    )


@dataclass
class Relay:
    inbox: Inbox
    target: Target
    logs: Logs
    metrics: Metrics
    traces: Traces
    log: Journal
    totals: Totals = field(default_factory=Totals)
    data: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    segments: list[str] = field(default_factory=list)
    due: float = 0.0
    not_before: float = 0.0

    def step(self, now: float, flush: bool = False) -> None:
        for note in drain(self.inbox.notes):
            self.log.write("W", note)
        self._take()
        if flush or now >= self.due:
            self.data.extend(self.totals.take(self.target.dimensions))
            self.due = now + self.target.interval
        if flush or now >= self.not_before:
            try:
                self._send()
            except AwsError as error:
                self.log.write("E", f"what applications sent waits: {error}")
                self.not_before = now + RETRY_SECONDS

    def _take(self) -> None:
        for packet in drain(self.inbox.statsd):
            for line in self.totals.add(packet):
                self.log.write("W", f"statsd: no metric: {line[:200]}")
        for text in drain(self.inbox.emf):
            group = emf_group(text)
            if group is None:
                self.log.write("W", f"emf: not in the embedded metric format: {text[:200]}")
                continue
            self.events.setdefault(group, []).append({"timestamp": int(time.time() * 1000), "message": text})
        self.segments.extend(drain(self.inbox.segments))
        held: list[list[Any]] = [self.data, self.segments, *self.events.values()]
        for waiting in held:
            if len(waiting) > KEPT:
                self.log.write("E", f"{len(waiting) - KEPT} documents of applications were dropped; too many wait")
                del waiting[:-KEPT]

    def _send(self) -> None:
        if self.data:
            self.metrics.put(self.target.namespace, self.data)
            self.data = []
        for group in list(self.events):
            self.logs.put(group, self.target.stream, -1, self.events[group])
            del self.events[group]
        while self.segments:
            for refused in self.traces.put(self.segments[:SEGMENTS_PER_CALL]):
                self.log.write("W", f"xray: a segment was not taken: {refused}")
            del self.segments[:SEGMENTS_PER_CALL]


def emf_group(text: str) -> str | None:
    """The log group that an EMF document names; None when it is no such document."""
    try:
        document = json.loads(text)
        described = document["_aws"]
        if not isinstance(described["CloudWatchMetrics"], list):
            return None
        return str(described.get("LogGroupName") or DEFAULT_EMF_GROUP)
    except (ValueError, KeyError, TypeError):
        return None
