"""In place of ``_aws/client.py`` while playbooks are played: Auto Scaling and load balancing of one group as a file; the rest is moto.

It travels to where a module runs, so it imports nothing of the tests. ``$PLAYED_FLEET`` is a folder; ``state.json`` in it has hosts
(id → zone, lifecycle), sizes, suspended processes, ``sick`` hosts (never healthy), ``faults`` (call → message, or call and id; before the
message may stand AWS's code and a colon) and ``then`` (``call:id`` → what happens right after it: ``launch`` and ``remove``, hosts;
``lifecycle``, id → state; ``faults``; ``suspend``, processes; ``version``, id → what it serves from then on).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

RETRIES = {"mode": "standard", "max_attempts": 2}
GROUP_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"


def client(module: Any, service: str, region: str | None = None) -> Any:
    place = {"region": region} if region else {}
    if service in ("autoscaling", "elbv2"):
        return PlayedFleet()
    return Faulty(module.client(service, config={"retries": RETRIES}, **place))


def boto3_client(_service: str, region_name: str) -> Any:
    """In place of `boto3.client`, where the control node asks for the group itself."""
    del region_name
    return PlayedFleet()


def paginate(client: Any, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator(operation).paginate(**arguments)
    return [item for page in pages for item in page[key]]


@contextmanager
def state(path: Path | None = None) -> Iterator[dict[str, Any]]:
    """The fleet's record, written back at the end."""
    folder = path or Path(os.environ["PLAYED_FLEET"])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = json.loads((folder / "state.json").read_text())
        yield record
        (folder / "state.json").write_text(json.dumps(record))


def refuse(record: dict[str, Any], call: str, what: str = "") -> None:
    for fault in (call, f"{call}:{what}"):
        if message := record["faults"].get(fault):
            code, _colon, text = message.rpartition(": ")
            raise ClientError({"Error": {"Code": code or "ValidationError", "Message": text}}, call)


class Faulty:
    """A client of which some calls fail. A fault of ``put_parameter:<text>`` concerns values with that text."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if name == "exceptions":
            return self._real.exceptions
        if name == "get_paginator":
            return lambda operation: (
                Agents() if operation == "describe_instance_information" else self._real.get_paginator(operation)
            )

        def call(*words: Any, **asked: Any) -> Any:
            with state() as record:
                refuse(record, name)
                for fault in record["faults"]:
                    if fault.startswith(f"{name}:") and fault.partition(":")[2] in str(asked.get("Value", "")):
                        refuse(record, *fault.split(":", 1))
            return getattr(self._real, name)(*words, **asked)

        return call


class Agents:
    """Systems Manager's agents on the hosts, which moto does not have. All are online."""

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        with state() as record:
            refuse(record, "describe_instance_information")
        yield {
            "InstanceInformationList": [
                {"InstanceId": instance_id, "PingStatus": "Online"} for instance_id in asked["Filters"][0]["Values"]
            ]
        }


class PlayedFleet:
    def describe_auto_scaling_groups(self, **_asked: Any) -> dict[str, Any]:
        with state() as record:
            refuse(record, "describe_auto_scaling_groups")
            hosts = [
                {"InstanceId": i, "AvailabilityZone": h["zone"], "LifecycleState": h["lifecycle"]}
                for i, h in record["hosts"].items()
            ]
            return {
                "AutoScalingGroups": [
                    {
                        "AutoScalingGroupName": "played",
                        "MinSize": record["min"],
                        "MaxSize": 9,
                        "DesiredCapacity": record["desired"],
                        "TargetGroupARNs": [GROUP_ARN],
                        "Instances": hosts,
                        "SuspendedProcesses": [{"ProcessName": name} for name in record["suspended"]],
                    }
                ]
            }

    def describe_target_groups(self, **_asked: Any) -> dict[str, Any]:
        timings = {"HealthCheckIntervalSeconds": 1, "HealthCheckTimeoutSeconds": 1, "HealthyThresholdCount": 1}
        return {"TargetGroups": [{"TargetGroupArn": GROUP_ARN, "TargetGroupName": "web", **timings}]}

    def describe_target_group_attributes(self, **_asked: Any) -> dict[str, Any]:
        return {"Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}]}

    def describe_target_health(self, **_asked: Any) -> dict[str, Any]:
        with state() as record:
            serving = [i for i, h in record["hosts"].items() if h["lifecycle"] == "InService"]
            record["fewest"] = min(record.get("fewest", 99), len(serving))
            states = {i: "unhealthy" if i in record["sick"] else "healthy" for i in serving}
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": i}, "TargetHealth": {"State": health}} for i, health in states.items()
            ]
        }

    def suspend_processes(self, **asked: Any) -> None:
        with state() as record:
            record["suspended"] = sorted({*record["suspended"], *asked["ScalingProcesses"]})

    def resume_processes(self, **asked: Any) -> None:
        with state() as record:
            record["suspended"] = sorted({*record["suspended"]} - {*asked["ScalingProcesses"]})

    def enter_standby(self, **asked: Any) -> None:
        self._move("enter_standby", asked["InstanceIds"][0], "InService", "Standby")

    def exit_standby(self, **asked: Any) -> None:
        self._move("exit_standby", asked["InstanceIds"][0], "Standby", "InService")

    def _move(self, call: str, instance_id: str, before: str, after: str) -> None:
        with state() as record:
            refuse(record, call, instance_id)
            host = record["hosts"][instance_id]
            if host["lifecycle"] != before:
                raise ClientError({"Error": {"Code": "ValidationError", "Message": f"not in {before}"}}, call)
            host["lifecycle"] = after
            record["desired"] += 1 if after == "InService" else -1
            record["moves"].append(f"{call}:{instance_id}")
            then = record["then"].get(f"{call}:{instance_id}", {})
            for new in then.get("launch", []):
                record["hosts"][new] = {"zone": "us-east-1c", "lifecycle": "InService"}
            for gone in then.get("remove", []):
                del record["hosts"][gone]
            for moved, lifecycle in then.get("lifecycle", {}).items():
                record["hosts"][moved]["lifecycle"] = lifecycle
            record["faults"].update(then.get("faults", {}))
            for booted, version in then.get("version", {}).items():
                (Path(os.environ["PLAYED_FLEET"]) / f"{booted}.version").write_text(version)
            record["suspended"] = sorted({*record["suspended"], *then.get("suspend", [])})
