"""CloudWatch Logs of the lab: metrics in the embedded metric format."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws
from moto.logs.models import LogsBackend

from lab.cloud.logs.embedded_metrics import embedded
from lab.cloud.logs.install import install
from tests.support.embedded_metrics import EMF


def test_an_embedded_metric_has_one_datum_for_each_set_of_dimensions() -> None:
    ((namespace, data),) = list(embedded(json.dumps(EMF)))
    assert namespace == "Shop"
    assert [datum["Dimensions"] for datum in data] == [[{"Name": "Page", "Value": "cart"}], []]
    assert data[0]["Values"] == [1.0, 2.0]


@pytest.mark.parametrize("line", ["text", "[]", "1", '{"_aws": {}}', json.dumps(EMF | {"Latency": "slow"})])
def test_a_line_that_is_not_in_the_format_stays_text(line: str) -> None:
    assert list(embedded(line)) == []


def test_metrics_of_a_log_line_are_in_cloudwatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogsBackend, "put_log_events", LogsBackend.put_log_events)
    install()
    with mock_aws():
        client = boto3.client("logs", "us-east-1")
        client.create_log_group(logGroupName="g")
        client.create_log_stream(logGroupName="g", logStreamName="s")
        event = {"timestamp": int(time.time() * 1000), "message": json.dumps(EMF)}
        client.put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])
        moment = datetime.fromtimestamp(EMF["_aws"]["Timestamp"] / 1000, UTC)
        found = boto3.client("cloudwatch", "us-east-1").get_metric_statistics(
            Namespace="Shop",
            MetricName="Latency",
            Dimensions=[{"Name": "Page", "Value": "cart"}],
            StartTime=moment - timedelta(hours=1),
            EndTime=moment + timedelta(hours=1),
            Period=3600,
            Statistics=["Sum"],
        )
        assert [point["Sum"] for point in found["Datapoints"]] == [3]
    with pytest.raises(RuntimeError, match="twice"):
        install()
