"""Reading a fleet: how often AWS is asked for what."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws import waiting
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.api import FleetApi
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.plan import PlanError
from botocore.exceptions import ClientError

GROUP_ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"


class Aws:
    """As much of Auto Scaling and Elastic Load Balancing as a wait needs; the host is healthy at the third look."""

    def __init__(self, hosts: int = 1) -> None:
        self.calls: Counter[str] = Counter()
        self.hosts = hosts
        self.throttled = 0
        self.activities: list[dict[str, Any]] = []
        self.created_at_call = 0
        self.lifecycle = "InService"

    def describe_auto_scaling_groups(self, **asked: Any) -> dict[str, Any]:
        self.calls["group"] += 1
        if self.throttled:
            self.throttled -= 1
            raise ClientError(
                {"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeAutoScalingGroups"
            )
        if self.calls["group"] < self.created_at_call:
            return {"AutoScalingGroups": []}
        if "AutoScalingGroupNames" not in asked:
            return {"AutoScalingGroups": [{"AutoScalingGroupName": name} for name in ("shop", "blog")]}
        if asked["AutoScalingGroupNames"] != ["shop"]:
            return {"AutoScalingGroups": []}
        hosts = [
            {"InstanceId": f"i-{n}", "AvailabilityZone": "us-east-1a", "LifecycleState": self.lifecycle}
            for n in range(1, self.hosts + 1)
        ]
        sizes = {"MinSize": 1, "MaxSize": 4, "DesiredCapacity": 1}
        return {"AutoScalingGroups": [{"Instances": hosts, "TargetGroupARNs": [GROUP_ARN], **sizes}]}

    def describe_scaling_activities(self, **_asked: Any) -> dict[str, Any]:
        return {"Activities": self.activities}

    def describe_target_groups(self, **asked: Any) -> dict[str, Any]:
        self.calls["target groups"] += 1
        timings = {"HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 2}
        return {
            "TargetGroups": [
                {"TargetGroupArn": arn, "TargetGroupName": "web", **timings} for arn in asked["TargetGroupArns"]
            ]
        }

    def describe_target_group_attributes(self, **_asked: Any) -> dict[str, Any]:
        self.calls["attributes"] += 1
        return {"Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}]}

    def describe_target_health(self, **_asked: Any) -> dict[str, Any]:
        self.calls["health"] += 1
        state = "healthy" if self.calls["health"] >= 3 else "initial"
        return {"TargetHealthDescriptions": [{"Target": {"Id": "i-1"}, "TargetHealth": {"State": state}}]}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def test_a_wait_reads_the_timings_of_a_target_group_once_and_health_at_each_poll() -> None:
    aws = Aws()
    host = FleetApi(aws, aws, "shop").wait_in_service("i-1", 60)
    assert host.serving
    assert aws.calls == {"group": 3, "health": 3, "target groups": 1, "attributes": 1}


def test_a_throttled_poll_does_not_end_the_wait() -> None:
    aws = Aws()
    aws.throttled = 2
    assert FleetApi(aws, aws, "shop").wait_in_service("i-1", 60).serving


@pytest.mark.parametrize("lifecycle", ["Terminating", "Terminating:Wait", "Terminated", "Detaching"])
@pytest.mark.parametrize("wait", ["wait_drained", "wait_in_service"])
def test_a_host_that_leaves_the_group_is_not_waited_for(wait: str, lifecycle: str) -> None:
    aws = Aws()
    aws.lifecycle = lifecycle
    with pytest.raises(PlanError, match=f"it is leaving the group: i-1 in us-east-1a, {lifecycle}"):
        getattr(FleetApi(aws, aws, "shop"), wait)("i-1", 600)
    assert aws.calls["group"] == 1


def test_the_timings_are_those_of_the_target_group() -> None:
    aws = Aws()
    (group,) = FleetApi(aws, aws, "shop").read().target_groups
    assert (group.name, group.deregistration_delay, group.seconds_to_healthy) == ("web", 60, 25)


def test_a_fleet_that_does_not_get_ready_is_described_host_by_host() -> None:
    aws = Aws(hosts=2)
    with pytest.raises(
        waiting.WaitTimeoutError, match=r"i-1 in us-east-1a, InService: web .*; i-2 .* registered nowhere"
    ):
        FleetApi(aws, aws, "shop").wait_ready(0)


def test_a_group_that_does_not_exist_is_named_with_those_that_do_and_the_variables_to_set() -> None:
    aws = Aws()
    with pytest.raises(
        PlanError, match=r"no Auto Scaling group 'other'.* there are blog, shop\. Set fleet_name .*fleet_os"
    ):
        FleetApi(aws, aws, "other").read()


def activity(status: str, minutes_ago: int, message: str = "") -> dict[str, Any]:
    begun = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    words = {"StatusMessage": message} if message else {}
    return {"StatusCode": status, "StartTime": begun, "Description": "Launching", "Cause": "desired is 3", **words}


def test_a_fleet_that_does_not_get_ready_is_explained_by_the_activities_that_failed() -> None:
    aws = Aws(hosts=0)
    aws.activities = [
        activity("InProgress", 0),
        activity("Failed", -1, "Client.InvalidKMSKey.InvalidState: the key is not accessible"),
        activity("Failed", -1, "Client.InvalidKMSKey.InvalidState: the key is not accessible"),
        activity("Failed", 600, "yesterday's reason"),
    ]
    with pytest.raises(waiting.WaitTimeoutError) as caught:
        FleetApi(aws, aws, "shop").wait_ready(0)
    assert str(caught.value).endswith(
        "last answer: 0 of 1 hosts: no hosts. Auto Scaling's last activities: "
        "Failed: Client.InvalidKMSKey.InvalidState: the key is not accessible"
    )


def test_where_no_activity_failed_the_last_ones_are_shown() -> None:
    aws = Aws(hosts=2)
    aws.activities = [activity("InProgress", 0)]
    with pytest.raises(waiting.WaitTimeoutError, match=r"last activities: InProgress: Launching: desired is 3$"):
        FleetApi(aws, aws, "shop").wait_ready(0)


def test_a_group_that_was_created_a_moment_ago_may_be_missing_from_the_first_answers() -> None:
    aws = Aws()
    aws.created_at_call = 4
    assert FleetApi(aws, aws, "shop").wait_ready(60).hosts


def test_a_wait_for_hosts_to_settle_ends_when_none_of_them_is_on_its_way() -> None:
    aws = Aws()
    assert FleetApi(aws, aws, "shop").wait_settled(["i-1", "i-7"]).name == "shop"
