"""CloudWatch Logs that takes metrics out of the embedded metric format, as the real one does on PutLogEvents.

Moto keeps such events as text only. Rule: "Specification: Embedded metric format" (CloudWatch User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import LogsBackend

Datum = dict[str, Any]


def install() -> None:
    """Once per process."""
    if getattr(LogsBackend.put_log_events, "takes_metrics", False):
        raise RuntimeError("lab.cloud.logs.install came twice")
    LogsBackend.put_log_events = _with_metrics(LogsBackend.put_log_events)


def _with_metrics(store: Any) -> Any:
    def put_log_events(
        self: LogsBackend, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
    ) -> Any:
        stored = store(self, log_group_name, log_stream_name, log_events)
        metrics = cloudwatch_backends[self.account_id][self.region_name]
        for event in log_events:
            for namespace, data in embedded(event["message"]):
                metrics.put_metric_data(namespace, data)
        return stored

    put_log_events.takes_metrics = True  # type: ignore[attr-defined]
    return put_log_events


def embedded(message: str) -> Iterator[tuple[str, list[Datum]]]:
    """Namespace and data of a log line; nothing for one that is not in the format, which the service keeps as text."""
    try:
        document = json.loads(message)
        described = document["_aws"]
        # Moto compares times without a zone.
        moment = datetime.fromtimestamp(described["Timestamp"] / 1000, UTC).replace(tzinfo=None)
        directives = [
            (str(entry["Namespace"]), list(_data(document, entry, moment))) for entry in described["CloudWatchMetrics"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    yield from directives


def _data(document: dict[str, Any], directive: dict[str, Any], moment: datetime) -> Iterator[Datum]:
    for names in directive.get("Dimensions") or [[]]:
        dimensions = [{"Name": name, "Value": str(document[name])} for name in names]
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            yield {
                "MetricName": metric["Name"],
                "Unit": metric.get("Unit", "None"),
                "Dimensions": dimensions,
                "Values": [float(number) for number in (value if isinstance(value, list) else [value])],
                "Timestamp": moment,
            }
