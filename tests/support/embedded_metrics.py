"""An event in CloudWatch's embedded metric format."""

from __future__ import annotations

from typing import Any

EMF: dict[str, Any] = {
    "_aws": {
        "Timestamp": 1_700_000_000_000,
        "LogGroupName": "/shop/metrics",
        "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [["Page"], []], "Metrics": [{"Name": "Latency"}]}],
    },
    "Page": "cart",
    "Latency": [1, 2],
}
