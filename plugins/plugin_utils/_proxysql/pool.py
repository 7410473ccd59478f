# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections each host may keep to a database, so that the whole fleet can never pass the database's limit.

    share  = floor((limit - reserved) / hosts) - own          hosts: the most that can run at once
    pool   = min(share, demand of the application, vCPUs x connections per vCPU)

so that hosts x (pool + own) + reserved <= limit whatever the fleet does. `own` are connections that the proxy opens beside the pool, to
watch a server and to end a query on it.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
BYTES_PER_CONNECTION = 12_582_880
"""RDS for MySQL: max_connections is {DBInstanceClassMemory/12582880} (RDS User Guide, "Quotas and constraints")."""
RDS_MOST = 16_000
"""The highest max_connections that RDS allows."""
BURSTABLE_GIB = {"micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
GIB_PER_LARGE = {"m": 8, "r": 16}
OWN_CONNECTIONS = 3


@dataclass(frozen=True)
class Fleet:
    """Hosts that can be connected at once: `maximum` (the group's MaxSize), `surge` (more while hosts are replaced), `others`."""

    maximum: int
    surge: int = 0
    others: int = 0

    @property
    def hosts(self) -> int:
        return self.maximum + self.surge + self.others


@dataclass(frozen=True)
class Host:
    """What one host can use."""

    vcpus: int
    processes: int
    connections_per_process: int
    connections_per_vcpu: int = 25

    @property
    def demand(self) -> int:
        return self.processes * self.connections_per_process


@dataclass(frozen=True)
class Pool:
    """`bound_by`: `database`, `application` or `vcpus`. `fleet_connections`: the most of all hosts, the proxy's own included."""

    size: int
    bound_by: str
    share: int
    fleet_connections: int


def class_memory_mib(instance_class: str) -> int:
    """Memory of an RDS instance class of the families t, m and r, MiB. Raises ValueError for another one."""
    parts = instance_class.split(".")
    family, size = (parts[1][:1], parts[2]) if len(parts) == 3 and parts[0] == "db" and parts[1] else ("", "")
    if family == "t" and size in BURSTABLE_GIB:
        return BURSTABLE_GIB[size] * 1024
    multiple = size.removesuffix("xlarge")
    larges = 1 if size == "large" else 2 * int(multiple or 1) if size != multiple and (multiple or "1").isdigit() else 0
    if family in GIB_PER_LARGE and larges:
        return GIB_PER_LARGE[family] * larges * 1024
    raise ValueError(
        f"the memory of instance class '{instance_class}' is not known here (families t, m and r are, such as db.r5.xlarge). "
        "Give max_connections as the database says it: SELECT @@max_connections"
    )


def estimated_limit(instance_class: str) -> int:
    """max_connections of an RDS instance class by RDS's own formula, deliberately low.

    DBInstanceClassMemory is what RDS leaves of the memory: less by about a tenth and 150 MiB for the system and RDS itself.
    """
    usable = class_memory_mib(instance_class) * MIB * 9 // 10 - 150 * MIB
    return min(usable // BYTES_PER_CONNECTION, RDS_MOST)


def pool_size(limit: int, reserved: int, fleet: Fleet, host: Host, *, minimum: int, own: int = OWN_CONNECTIONS) -> Pool:
    """Raises ValueError, with the numbers and what can be done, if a host's share is below `minimum`."""
    for name, value, least in (
        ("max_connections", limit, 1),
        ("reserved_connections", reserved, 0),
        ("fleet_maximum", fleet.maximum, 1),
        ("fleet_surge", fleet.surge, 0),
        ("fleet_other_hosts", fleet.others, 0),
        ("host_vcpus", host.vcpus, 1),
        ("app_processes", host.processes, 1),
        ("app_connections_per_process", host.connections_per_process, 1),
        ("connections_per_vcpu", host.connections_per_vcpu, 1),
        ("minimum_pool", minimum, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}; {least} or more is needed")
    share = (limit - reserved) // fleet.hosts - own
    if share < minimum:
        needed = fleet.hosts * (minimum + own) + reserved
        raise ValueError(
            f"the database allows {limit} connections; {reserved} are reserved, and {fleet.hosts} hosts ({fleet.maximum} of the group, "
            f"{fleet.surge} while hosts are replaced, {fleet.others} elsewhere) with {own} of the proxy's own each leave {max(share, 0)} "
            f"for a host's pool; at least {minimum} are needed. Take a database that allows {needed} connections, reserve less, or lower "
            "the fleet's maximum"
        )
    bounds = {"database": share, "application": host.demand, "vcpus": host.vcpus * host.connections_per_vcpu}
    bound_by = min(bounds, key=lambda name: bounds[name])
    size = bounds[bound_by]
    return Pool(size, bound_by, share, fleet.hosts * (size + own))
