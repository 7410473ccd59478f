from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.plan import (
    Fleet,
    Host,
    PlanError,
    Target,
    TargetGroup,
    describe_plan,
    make_plan,
)

GROUP = TargetGroup("arn:tg", "web", 60, 10, 5, 2)


def host(number: int, zone: str, lifecycle: str = "InService", state: str = "healthy") -> Host:
    targets = (
        (Target("web", state, "" if state == "healthy" else "Target.Timeout"),) if lifecycle == "InService" else ()
    )
    return Host(f"i-{number}", f"us-east-1{zone}", lifecycle, targets)


def fleet(*hosts: Host, min_size: int = 2, groups: tuple[TargetGroup, ...] = (GROUP,)) -> Fleet:
    return Fleet("shop", min_size, 6, len(hosts), hosts, groups)


FIVE = (host(1, "c"), host(2, "a"), host(3, "b"), host(4, "a"), host(5, "b"))


def test_hosts_are_taken_zone_by_zone() -> None:
    plan = make_plan(fleet(*FIVE), batch_size=1, work_seconds=100)
    assert plan.batches == (("i-2",), ("i-4",), ("i-3",), ("i-5",), ("i-1",))


def test_a_batch_never_spans_two_zones() -> None:
    plan = make_plan(fleet(*FIVE), batch_size=2, work_seconds=100)
    assert plan.batches == (("i-2", "i-4"), ("i-3", "i-5"), ("i-1",))


def test_the_plan_tells_the_lowest_number_serving_and_the_worst_duration() -> None:
    plan = make_plan(fleet(*FIVE), batch_size=2, work_seconds=100)
    # 3 steps of drain 60 + work 100 + twice healthy 2 x 10 + 5, and 120 s for each way of Auto Scaling's own.
    assert (plan.serving, plan.minimum, plan.worst_case_seconds) == (5, 3, 3 * (60 + 120 + 100 + 2 * 25 + 120))


def test_a_host_that_an_interrupted_operation_left_in_standby_comes_first_and_costs_no_further_capacity() -> None:
    plan = make_plan(
        fleet(host(1, "a"), host(2, "b"), host(3, "c", "Standby")), batch_size=1, work_seconds=100, own=["i-3"]
    )
    assert plan.batches[0] == ("i-3",)
    assert plan.minimum == 2


def test_hosts_that_are_done_are_left_alone_unless_they_are_out_of_service() -> None:
    hosts = (host(1, "a"), host(2, "b"), host(3, "c", "Standby"))
    plan = make_plan(fleet(*hosts), batch_size=1, work_seconds=100, done=["i-1", "i-3"], own=["i-3"])
    assert plan.batches == (("i-3",), ("i-2",))


def test_a_roll_that_would_go_below_the_minimum_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        PlanError, match=r"2 hosts serve; with 1 in Standby at a time 1 would be left, but MinSize is 2.*at least 3"
    ):
        make_plan(fleet(host(1, "a"), host(2, "b")), batch_size=1, work_seconds=100)


def test_the_last_host_is_never_taken_even_if_the_minimum_is_zero() -> None:
    with pytest.raises(PlanError, match="at least 1 must serve"):
        make_plan(fleet(host(1, "a"), min_size=0), batch_size=1, work_seconds=100)


def test_a_fleet_with_an_unhealthy_host_is_refused_naming_host_zone_and_reason() -> None:
    with pytest.raises(PlanError, match=r"i-2 in us-east-1b, InService: web unhealthy \(Target.Timeout\)"):
        make_plan(fleet(host(1, "a"), host(2, "b", state="unhealthy"), host(3, "c")), batch_size=1, work_seconds=100)


def test_a_host_of_the_operation_that_never_got_healthy_comes_first_and_costs_no_further_capacity() -> None:
    hosts = (host(1, "a"), host(2, "b"), host(3, "c", state="unhealthy"))
    plan = make_plan(fleet(*hosts), batch_size=1, work_seconds=100, own=["i-3"])
    assert (plan.batches[0], plan.minimum) == (("i-3",), 2)


@pytest.mark.parametrize("lifecycle", ["Terminating", "Terminating:Wait", "Detaching", "Pending", "Pending:Wait"])
def test_hosts_that_come_or_go_are_left_out_and_named(lifecycle: str) -> None:
    shop = fleet(host(1, "a"), host(2, "b"), host(3, "c"), host(4, "a", lifecycle))
    plan = make_plan(shop, batch_size=1, work_seconds=100)
    assert plan.batches == (("i-1",), ("i-2",), ("i-3",))
    assert describe_plan(shop, plan, "roll")[-1].startswith(f"left out: i-4 in us-east-1a, {lifecycle}")


def test_a_fleet_of_which_no_host_is_in_service_is_refused() -> None:
    with pytest.raises(PlanError, match="no host is in service"):
        make_plan(fleet(host(1, "a", "Pending")), batch_size=1, work_seconds=100)


def test_an_operation_whose_hosts_are_all_done_has_no_step_left_whatever_the_capacity() -> None:
    plan = make_plan(fleet(host(1, "a"), host(2, "b")), batch_size=1, work_seconds=100, done=["i-1", "i-2"])
    assert plan.batches == ()


def test_a_fleet_without_target_group_is_refused() -> None:
    with pytest.raises(PlanError, match="has no target group"):
        make_plan(fleet(*FIVE, groups=()), batch_size=1, work_seconds=100)


def test_an_empty_fleet_is_refused() -> None:
    with pytest.raises(PlanError, match="has no hosts"):
        make_plan(fleet(), batch_size=1, work_seconds=100)


def test_a_batch_of_no_hosts_is_refused() -> None:
    with pytest.raises(PlanError, match="batch size 0"):
        make_plan(fleet(*FIVE), batch_size=0, work_seconds=100)


def test_the_plan_reads_like_a_plan() -> None:
    shop = fleet(*FIVE)
    lines = describe_plan(shop, make_plan(shop, batch_size=2, work_seconds=100), "roll (1.1.0)")
    assert lines[0].startswith("roll (1.1.0) of shop: 5 of 5 hosts in 3 steps, never fewer than 3 serving (MinSize 2)")
    assert lines[1] == "step 1: us-east-1a i-2, i-4"
