"""The embedded metric format: metrics in a line of a log ("Specification: Embedded metric format", CloudWatch User Guide)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

Datum = dict[str, Any]


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
