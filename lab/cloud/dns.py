"""Private DNS names of instances, as the VPC's resolver knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.cloud.ec2_machines import instances
from lab.reconcile import Actions

GONE = ("terminated", "shutting-down")


class InstanceNames:
    """A reconciler's part: publishes the name of every instance that has an address."""

    def __init__(self, publish: Callable[[str, Mapping[str, str]], None]) -> None:
        self._publish = publish

    def observe(self) -> None:
        """There is nothing to look at: the records are the truth."""

    def settle(self, actions: Actions) -> None:
        self._publish("instances", {i.private_dns_name: i.private_ip for i in instances() if i.state not in GONE})

    def close(self) -> None:
        self._publish("instances", {})
