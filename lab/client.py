"""AWS clients for the lab's own commands. They name endpoint and credentials themselves, so that they cannot reach anything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from lab import environment
from lab.errors import LabError
from lab.network import namespaces
from lab.network.hosts_file import address_of
from lab.settings import ACCESS_KEY, DEFAULT_REGION, REGIONS, SECRET_KEY, Settings


class Client:
    """Moves the calling thread into the lab's network for good: for commands, not for libraries."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        for name in [n for n in os.environ if environment.SET_ASIDE.fullmatch(n) or n.lower() in environment.PROXIES]:
            del os.environ[name]
        os.environ.update(environment.aws(settings))
        namespaces.enter_network(settings.netns_path)

    def service(self, name: str, region: str = DEFAULT_REGION) -> Any:
        import boto3  # noqa: PLC0415 - takes a moment, and most commands do without
        from botocore.config import Config  # noqa: PLC0415

        make: Any = boto3.client
        return make(
            name,
            region_name=region,
            endpoint_url=self.settings.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(connect_timeout=3, read_timeout=15, retries={"max_attempts": 2}),
        )

    def instances(self) -> Iterator[dict[str, Any]]:
        """Every instance of both regions that is not terminated, as DescribeInstances shows it."""
        for region in REGIONS:
            for page in self.service("ec2", region).get_paginator("describe_instances").paginate():
                for reservation in page["Reservations"]:
                    yield from (i for i in reservation["Instances"] if i["State"]["Name"] != "terminated")

    def find_instance(self, host: str) -> dict[str, Any]:
        """The one instance that has this id, Name tag, private address or private DNS name."""
        running = [i for i in self.instances() if i.get("PrivateIpAddress")]
        found = [
            i for i in running if host in (i["InstanceId"], name_of(i), i["PrivateIpAddress"], i.get("PrivateDnsName"))
        ]
        if len(found) == 1:
            return found[0]
        known = "\n  ".join(f"{i['InstanceId']}  {i['PrivateIpAddress']:<12} {name_of(i)}" for i in found or running)
        problem = f"{len(found)} instances are called {host!r}" if found else f"The lab has no instance {host!r}"
        raise LabError(problem, hint=f"There are:\n  {known}" if known else "There are none yet: `lab status`.")

    def load_balancers(self) -> Iterator[dict[str, Any]]:
        """Every load balancer of both regions, with `Targets`: target group name → (target id → health state)."""
        for region in REGIONS:
            elb = self.service("elbv2", region)
            for balancer in elb.describe_load_balancers()["LoadBalancers"]:
                groups = elb.describe_target_groups(LoadBalancerArn=balancer["LoadBalancerArn"])["TargetGroups"]
                yield {
                    **balancer,
                    "Targets": {g["TargetGroupName"]: self._health(elb, g["TargetGroupArn"]) for g in groups},
                }

    def load_balancer_address(self, name: str | None) -> tuple[str, int]:
        """Where a load balancer listens inside the lab: the named one, or the only one. Of two of a name the first region's."""
        found = list(self.load_balancers())
        balancers = {b["LoadBalancerName"]: b for b in reversed(found)}
        if name is None and len(balancers) == 1:
            name = next(iter(balancers))
        if name not in balancers:
            known = ", ".join(sorted(balancers)) or "none"
            problem = f"There is no load balancer {name!r}" if name else f"There are {len(balancers)} load balancers"
            raise LabError(
                problem,
                hint=f"Load balancers: {known}. Name one: `lab open --name NAME`."
                if balancers
                else "Create one first: `make demo`.",
            )
        address = address_of(self.settings.hosts_file, balancers[name]["DNSName"])
        if address is None:
            raise LabError(
                f"Load balancer {name!r} has no address yet", hint="Wait until `lab status` shows it as active."
            )
        return address, 80

    def _health(self, elb: Any, group: str) -> dict[str, str]:
        described = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return {t["Target"]["Id"]: t["TargetHealth"]["State"] for t in described}


def name_of(instance: dict[str, Any]) -> str:
    """The Name tag, or nothing."""
    return next((str(t["Value"]) for t in instance.get("Tags", []) if t["Key"] == "Name"), "")
