"""The fleet can never pass the database's limit; what can't hold is refused with the numbers."""

from __future__ import annotations

from itertools import product

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._proxysql import pool as proxysql_pool
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._proxysql.pool import Fleet, Host, pool_size

HOST = Host(vcpus=2, processes=2, connections_per_process=20)
LIMITS = (30, 64, 66, 150, 601, 1216, 2328, 16000)
RESERVES = (0, 10, 50, 100)
FLEETS = [Fleet(maximum, surge, others) for maximum, surge, others in product((1, 3, 6, 40), (0, 1, 6), (0, 3))]
HOSTS = [Host(vcpus, processes, each) for vcpus, processes, each in product((1, 2, 8), (1, 4), (1, 10, 100))]


def test_whatever_the_numbers_the_limit_holds_or_the_pool_is_refused() -> None:
    """All combinations: the fleet stays within the limit, a pool is as large as its bound allows, a refusal is a real one."""
    accepted = refused = 0
    for limit, reserved, fleet, host in product(LIMITS, RESERVES, FLEETS, HOSTS):
        own = proxysql_pool.OWN_CONNECTIONS
        try:
            pool = pool_size(limit, reserved, fleet, host, minimum=1)
        except ValueError:
            refused += 1
            assert fleet.hosts * (1 + own) + reserved > limit
            continue
        accepted += 1
        assert 1 <= pool.size <= min(host.demand, host.vcpus * host.connections_per_vcpu)
        assert pool.fleet_connections + reserved <= limit
        if pool.bound_by == "database":
            assert fleet.hosts * (pool.size + 1 + own) + reserved > limit
    assert accepted > 1000
    assert refused > 1000


def test_a_larger_fleet_never_gets_larger_pools() -> None:
    sizes = [pool_size(601, 50, Fleet(hosts), Host(8, 8, 50), minimum=1).size for hosts in range(1, 60)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


@pytest.mark.parametrize(
    ("limit", "host", "size", "bound_by"),
    [
        (601, HOST, 40, "application"),
        (601, Host(2, 8, 20), 50, "vcpus"),
        (200, Host(8, 8, 20), 18, "database"),
    ],
)
def test_the_smallest_bound_decides(limit: int, host: Host, size: int, bound_by: str) -> None:
    pool = pool_size(limit, 50, Fleet(6, 1), host, minimum=1)
    assert (pool.size, pool.bound_by) == (size, bound_by)


def test_a_share_below_the_minimum_is_refused_with_numbers_and_a_remedy() -> None:
    with pytest.raises(ValueError, match="allows 66 connections") as error:
        pool_size(66, 50, Fleet(6, 1, 3), HOST, minimum=2)
    for said in (
        "50 are reserved",
        "10 hosts (6 of the group, 1 while",
        "3 elsewhere",
        "at least 2",
        "allows 100 connections",
    ):
        assert said in str(error.value)
    assert pool_size(100, 50, Fleet(6, 1, 3), HOST, minimum=2).size == 2
    with pytest.raises(ValueError, match="leave 1 "):
        pool_size(99, 50, Fleet(6, 1, 3), HOST, minimum=2)


@pytest.mark.parametrize(
    ("fleet", "host", "name"),
    [(Fleet(0), HOST, "fleet_maximum"), (Fleet(1, -1), HOST, "fleet_surge"), (Fleet(1), Host(0, 1, 1), "host_vcpus")],
)
def test_numbers_that_can_not_be_are_named(fleet: Fleet, host: Host, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        pool_size(100, 0, fleet, host, minimum=1)


# What RDS was seen to give by default, by memory in MiB (Triton Consulting, "max_connections at AWS RDS MySQL instance sizes").
SEEN = {
    "db.t3.micro": 66,
    "db.t3.small": 150,
    "db.t3.medium": 312,
    "db.t3.large": 648,
    "db.m5.large": 648,
    "db.m5.xlarge": 1320,
}


@pytest.mark.parametrize(("instance_class", "seen"), SEEN.items())
def test_the_estimate_stays_below_what_rds_gives_and_not_far(instance_class: str, seen: int) -> None:
    assert 0.85 * seen < proxysql_pool.estimated_limit(instance_class) <= seen


@pytest.mark.parametrize(
    ("instance_class", "gib"),
    [("db.r5.large", 16), ("db.r5.xlarge", 32), ("db.r6g.2xlarge", 64), ("db.m6i.16xlarge", 256), ("db.t4g.medium", 4)],
)
def test_memory_follows_from_the_name_of_a_class(instance_class: str, gib: int) -> None:
    assert proxysql_pool.class_memory_mib(instance_class) == gib * 1024


def test_the_estimate_ends_where_rds_ends() -> None:
    assert proxysql_pool.estimated_limit("db.r5.24xlarge") == 16000


@pytest.mark.parametrize(
    "name", ["db.x2g.large", "r5.xlarge", "db.r5", "db.r5.huge", "db.t3.8xlarge", "db..large", "db.r5.-1xlarge", ""]
)
def test_an_unknown_class_is_refused_with_what_to_give_instead(name: str) -> None:
    with pytest.raises(ValueError, match="SELECT @@max_connections"):
        proxysql_pool.estimated_limit(name)
