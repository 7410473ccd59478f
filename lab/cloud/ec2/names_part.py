"""Private DNS names of instances, as the VPC's resolver knows them."""

from __future__ import annotations

from lab.cloud.ec2.instance_records import GONE
from lab.cloud.ec2.machines_part import instances
from lab.cloud.reconciler import Actions
from lab.network.hosts_file import HostsFile


class InstanceNames:
    """A reconciler's part: enters the name of every instance that has an address into the lab's hosts file."""

    def __init__(self, hosts: HostsFile) -> None:
        self._hosts = hosts

    def settle(self, actions: Actions) -> None:
        self._hosts.set("instances", {i.private_dns_name: i.private_ip for i in instances() if i.state not in GONE})

    def close(self) -> None:
        self._hosts.set("instances", {})
