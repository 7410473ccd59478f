"""CloudWatch Logs: `install` makes PutLogEvents take the metrics out of embedded metric format; moto keeps such events as text only."""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import LogsBackend

from lab.cloud.logs.embedded_metrics import embedded


def install() -> None:
    """Once per process."""
    if getattr(LogsBackend.put_log_events, "takes_metrics", False):
        raise RuntimeError("lab.cloud.logs.install was called twice")
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
