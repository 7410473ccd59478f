"""amazon-cloudwatch-agent: follows the configured log files and ships their lines, and what applications send to its receivers."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloudwatch_standin import config, paths, receivers
from cloudwatch_standin.aws import AwsError, Logs, Metadata, Metrics, Traces
from cloudwatch_standin.journal import Journal
from cloudwatch_standin.relay import Relay, target
from cloudwatch_standin.tail import Source, State, Tail, resolved

POLL_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0


def load(toml: Path) -> dict[str, Any]:
    """The translated configuration that belongs to a TOML file. Raises ValueError with what is wrong."""
    try:
        agent = tomllib.loads(toml.read_text())["agent"]
        document = json.loads(toml.with_name(agent["pipelines"]).read_text())
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"reading {toml}: {error!r}") from error
    problems = config.problems(document)
    if problems:
        raise ValueError("\n".join(problems))
    return dict(document)


def placeholders(metadata: Metadata) -> dict[str, str]:
    names = {"hostname": socket.gethostname(), "local_hostname": socket.gethostname()}
    return names | {
        "instance_id": metadata.get("meta-data/instance-id"),
        "ip_address": metadata.get("meta-data/local-ipv4"),
    }


def sources(document: dict[str, Any], names: dict[str, str]) -> list[Source]:
    entries = document.get("logs", {}).get("logs_collected", {}).get("files", {}).get("collect_list", [])
    default_stream = document.get("logs", {}).get("log_stream_name", "{instance_id}")
    return [
        Source(
            path=entry["file_path"],
            group=resolved(entry.get("log_group_name", entry["file_path"]), names),
            stream=resolved(entry.get("log_stream_name", default_stream), names),
            retention_days=entry.get("retention_in_days", -1),
            timestamp_format=entry.get("timestamp_format", ""),
            utc=entry.get("timezone", "Local") == "UTC",
            multi_line_start_pattern=entry.get("multi_line_start_pattern", ""),
            publish_multi_logs=entry.get("publish_multi_logs", False),
        )
        for entry in entries
    ]


class Shipper:
    """Polls the sources and sends what is due. After a failure it keeps the lines and waits longer each time."""

    def __init__(self, logs: Logs, state: State, log: Journal, flush_seconds: float) -> None:
        self._logs, self._state, self._log = logs, state, log
        self._flush_seconds = flush_seconds
        self._due: dict[int, float] = {}
        self._not_before = 0.0
        self._backoff = POLL_SECONDS

    def step(self, followed: Sequence[Tail], now: float, flush: bool = False) -> None:
        for source in followed:
            try:
                source.poll()
            except OSError as error:
                self._log.write("E", f"reading {source.path}: {error}")
                continue
            if not source.pending:
                self._due.pop(id(source), None)
                continue
            due = self._due.setdefault(id(source), now + self._flush_seconds)
            if (flush or source.full() or now >= due) and now >= self._not_before:
                self._ship(source, now)

    def _ship(self, source: Tail, now: float) -> None:
        # CloudWatch Logs refuses a batch that is not in order of time.
        events = sorted(source.pending, key=lambda event: event["timestamp"])
        try:
            self._logs.put(source.group, source.stream, source.retention_days, events)
        except AwsError as error:
            self._log.write("E", f"cloudwatchlogs: {len(events)} lines of {source.path} wait: {error}")
            self._backoff = min(self._backoff * 2, MAX_BACKOFF_SECONDS)
            self._not_before = now + self._backoff
            return
        self._backoff = POLL_SECONDS
        source.shipped()
        self._state.save(source)
        self._due.pop(id(source), None)


def run(document: dict[str, Any]) -> int:
    log = Journal(Path(document.get("agent", {}).get("logfile") or paths.LOG))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if set(document.get("metrics", {}).get("metrics_collected", {})) - {"statsd"}:
        log.write("W", "this stand-in reads and checks the metrics section but collects nothing of the host's")
    metadata = Metadata()
    try:
        names = placeholders(metadata)
        region = (
            document.get("agent", {}).get("region")
            or os.environ.get("AWS_REGION")
            or metadata.get("meta-data/placement/region")
        )
    except AwsError as error:
        log.write("E", f"{error}; the agent can't know its instance and region")
        return 1
    inbox, logs = receivers.Inbox(), Logs(region, metadata)
    try:
        relay = Relay(
            inbox, target(document, names, metadata), logs, Metrics(region, metadata), Traces(region, metadata), log
        )
        state = State(paths.STATE)
        opened = receivers.start(document, inbox)
    except (AwsError, OSError) as error:
        log.write("E", f"making the state's directory, asking for dimensions or opening a receiver: {error}")
        return 1
    try:
        entries = sources(document, names)
    except re.error as error:
        log.write("E", f"multi_line_start_pattern has issue, regexp: Compile( {error.pattern!r} ): {error}")
        return 1
    shipper = Shipper(logs, state, log, float(document.get("logs", {}).get("force_flush_interval", 5)))
    log.write("I", f"following {len(entries)} entries of log files, shipping to CloudWatch Logs in {region}")
    log.write("I", f"listening on {', '.join(opened) or 'nothing'}")
    log.write("I", "Everything is ready. Begin running and processing data.")
    while not stop.wait(POLL_SECONDS):
        shipper.step([tail for entry in entries for tail in entry.look(state)], time.monotonic())
        relay.step(time.monotonic())
    shipper.step([tail for entry in entries for tail in entry.look(state)], time.monotonic(), flush=True)
    relay.step(time.monotonic(), flush=True)
    log.write("I", "stopped")
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="amazon-cloudwatch-agent")
    parser.add_argument("-schematest", action="store_true")
    parser.add_argument("-config", type=Path, default=paths.TOML)
    options = parser.parse_args(arguments)
    try:
        document = load(options.config)
    except ValueError as error:
        print(f"E! {error}", file=sys.stderr)
        return 1
    return 0 if options.schematest else run(document)
