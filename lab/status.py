"""What `lab status` shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from lab.client import Client, name_of
from lab.daemon import status_file
from lab.settings import Settings

NOT_RUNNING = 3
"""Exit code for a lab that is not up, as init scripts have it."""


def show(settings: Settings, *, as_json: bool) -> int:
    """Prints what runs; returns the exit code."""
    daemon = status_file.read(settings)
    if daemon is None:
        print(
            json.dumps({"name": settings.name, "up": False})
            if as_json
            else f"lab {settings.name!r} is not up; start it: lab up"
        )
        return NOT_RUNNING
    client = Client(settings)
    summary: dict[str, Any] = {
        "name": settings.name,
        "up": True,
        **asdict(daemon),
        "endpoint": settings.endpoint,
        "namespace": settings.netns,
        "state": str(settings.state),
        "instances": [_instance(i) for i in client.instances()],
        "load_balancers": [_balancer(b) for b in client.load_balancers()],
    }
    print(json.dumps(summary, indent=2) if as_json else "\n".join(_lines(summary)))
    return 0


def _instance(instance: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": instance["InstanceId"],
        "name": name_of(instance),
        "state": instance["State"]["Name"],
        "address": instance.get("PrivateIpAddress"),
        "zone": instance["Placement"]["AvailabilityZone"],
        "image": instance["ImageId"],
    }


def _balancer(balancer: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": balancer["LoadBalancerName"],
        "dns_name": balancer["DNSName"],
        "state": balancer["State"]["Code"],
        "targets": balancer["Targets"],
    }


def _lines(summary: dict[str, Any]) -> Iterable[str]:
    yield f"lab {summary['name']!r}: up since {summary['started']} (process {summary['pid']}), {', '.join(summary['oses'])}"
    yield f"AWS endpoint {summary['endpoint']} in network namespace {summary['namespace']}"
    instances, balancers = summary["instances"], summary["load_balancers"]
    yield f"{len(instances)} instances" + (":" if instances else "")
    for i in sorted(instances, key=lambda i: (i["zone"], i["id"])):
        yield f"  {i['id']}  {i['state']:<13} {i['address'] or '-':<13} {i['zone']}  {i['image']}  {i['name']}"
    yield f"{len(balancers)} load balancers" + (":" if balancers else "")
    for b in balancers:
        yield f"  {b['name']}  {b['state']}  {b['dns_name']}"
        for group, targets in b["targets"].items():
            yield f"    {group}: " + (", ".join(f"{i} {state}" for i, state in sorted(targets.items())) or "no targets")
