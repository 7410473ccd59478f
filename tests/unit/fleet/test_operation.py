"""An operation on a fleet whose hosts are plain data: begun, noted, closed; hosts moved to Standby and back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import UserError
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.waiting import WaitTimeoutError
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet import operation
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.lock import HeldError
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.plan import (
    Fleet,
    Host,
    PlanError,
    Target,
    TargetGroup,
    describe_hosts,
)
from botocore.exceptions import ClientError


class FakeApi:
    """A fleet whose hosts move at once; ``broken`` hosts never get healthy."""

    def __init__(self, *lifecycles: str, broken: tuple[str, ...] = ()) -> None:
        self.lifecycle = {f"i-{n}": state for n, state in enumerate(lifecycles, 1)}
        self.broken = broken
        self.calls: list[tuple[str, Any]] = []

    suspended: tuple[str, ...] = ()
    refuses_to_suspend = False

    def read(self) -> Fleet:
        hosts = tuple(
            Host(i, f"us-east-1{'abc'[n % 3]}", state, self._targets(i, state))
            for n, (i, state) in enumerate(self.lifecycle.items())
        )
        return Fleet("shop", 1, 6, len(hosts), hosts, (TargetGroup("arn", "web", 5, 5, 4, 2),), self.suspended)

    def wait_settled(self, instance_ids: Any) -> Fleet:
        self.calls += [("settled", i) for i in instance_ids if self.lifecycle[i] in ("EnteringStandby", "Pending")]
        for i in instance_ids:
            self.lifecycle[i] = {"EnteringStandby": "Standby", "Pending": "InService"}.get(
                self.lifecycle[i], self.lifecycle[i]
            )
        return self.read()

    def wait_serving(self, seconds: float) -> Fleet:
        return self.wait_settled(list(self.lifecycle))

    def _targets(self, instance_id: str, lifecycle: str) -> tuple[Target, ...]:
        if lifecycle != "InService":
            return ()
        return (Target("web", "unhealthy" if instance_id in self.broken else "healthy"),)

    def enter_standby(self, instance_id: str) -> None:
        self.calls.append(("standby", instance_id))
        self.lifecycle[instance_id] = "Standby"

    def exit_standby(self, instance_id: str) -> None:
        self.calls.append(("in service", instance_id))
        self.lifecycle[instance_id] = "InService"

    def suspend_rebalancing(self) -> None:
        if self.refuses_to_suspend:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "SuspendProcesses")
        self.calls.append(("rebalancing", "suspended"))

    def resume_rebalancing(self) -> None:
        self.calls.append(("rebalancing", "resumed"))

    def wait_drained(self, instance_id: str, seconds: float) -> Host:
        return self.read().host(instance_id)

    def wait_in_service(self, instance_id: str, seconds: float) -> Host:
        host = self.read().host(instance_id)
        if not host.serving:
            raise WaitTimeoutError(f"{instance_id} healthy", seconds, describe_hosts([host]))
        return host


class FakeStore:
    def __init__(self) -> None:
        self.journal: Any = None
        self.broken = False

    def read(self) -> Any:
        return self.journal

    def write(self, journal: Any) -> None:
        if self.broken:
            raise UserError("the journal can't be written")
        self.journal = journal


class FakeLock:
    """Remembers what it was asked; held by somebody else if ``other``."""

    def __init__(self, other: bool = False) -> None:
        self.other = other
        self.held = False

    def acquire(self, doing: str, seconds: float, *, take_over: bool = False) -> None:
        if self.other and not take_over:
            raise HeldError(f"{doing}: alice@ctl1 holds the fleet")
        self.held = True

    def renew(self, seconds: float) -> None:
        if self.other:
            raise HeldError("alice@ctl1 has taken over")

    def release(self) -> None:
        self.held = False


OPTIONS = {"force": False, "take_over": False, "batch_size": 1, "work_seconds": 60}
BEGIN = {"state": "begin", "operation": "roll", "subject": "1.1.0", **OPTIONS}
FINISH = {"state": "finish", **OPTIONS}


def mark(api: Any, store: FakeStore, *instance_ids: str, state: str = "done") -> None:
    for instance_id in instance_ids:
        asked = {"state": "mark", "instance_id": instance_id, "host_state": state, **OPTIONS}
        operation.update(api, store, FakeLock(), asked, False)


def stop(api: Any, store: FakeStore, lock: FakeLock | None = None) -> None:
    operation.update(api, store, lock or FakeLock(), {"state": "stop", "reason": "why", **OPTIONS}, False)


def test_a_host_is_moved_to_standby_once() -> None:
    api = FakeApi("InService", "InService")
    assert operation.move_host(api, "i-1", "standby")["changed"] is True
    assert operation.move_host(api, "i-1", "standby")["changed"] is False
    assert api.calls == [("standby", "i-1")]


def test_check_mode_moves_nothing_and_tells_what_would_change() -> None:
    api = FakeApi("InService", "InService")
    assert operation.move_host(api, "i-1", "standby", check_mode=True)["changed"] is True
    assert api.calls == []


def test_a_host_that_never_gets_healthy_is_an_error_that_names_it() -> None:
    api = FakeApi("Standby", "InService", broken=("i-1",))
    with pytest.raises(WaitTimeoutError, match="i-1 healthy"):
        operation.move_host(api, "i-1", "in_service", 1)


def test_a_host_of_another_group_is_refused() -> None:
    with pytest.raises(PlanError, match="i-9 is not a member"):
        operation.move_host(FakeApi("InService"), "i-9", "standby")


def test_a_host_on_its_way_is_moved_once_it_has_arrived() -> None:
    api = FakeApi("EnteringStandby", "Pending")
    operation.move_host(api, "i-1", "in_service")
    operation.move_host(api, "i-2", "standby")
    assert api.calls == [("settled", "i-1"), ("in service", "i-1"), ("settled", "i-2"), ("standby", "i-2")]


def test_a_host_that_was_moved_although_the_answer_was_lost_is_where_it_should_be() -> None:
    class Lossy(FakeApi):
        def enter_standby(self, instance_id: str) -> None:
            super().enter_standby(instance_id)
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "not in InService"}}, "EnterStandby")

    assert operation.move_host(Lossy("InService", "InService"), "i-1", "standby")["host"]["lifecycle"] == "Standby"


@pytest.mark.parametrize(
    ("lifecycle", "words", "gone"),
    [
        ("InService", "in service", False),
        ("Standby", "in Standby; nobody is served from it", False),
        ("Terminating:Wait", "not served from (i-1 in us-east-1a, Terminating:Wait: registered nowhere)", True),
    ],
)
def test_a_host_that_is_looked_at_is_described_and_not_moved(lifecycle: str, words: str, gone: bool) -> None:
    api = FakeApi(lifecycle, "InService", "Terminating")
    seen = operation.look_at_host(api, "i-1")
    assert (seen["stands"], seen["gone"], seen["others"]) == (words, gone, "1 of 1 other hosts serve")
    assert api.calls == []


def test_a_host_that_is_no_member_any_more_is_gone() -> None:
    seen = operation.look_at_host(FakeApi("InService"), "i-9")
    assert (seen["gone"], seen["stands"]) == (True, "no longer in the Auto Scaling group")


def test_beginning_writes_the_journal_and_suspends_only_the_balancing_of_zones() -> None:
    api, store, lock = FakeApi("InService", "InService"), FakeStore(), FakeLock()
    result = operation.begin(api, store, lock, BEGIN, False)
    assert result["batches"] == [["i-1"], ["i-2"]]
    assert store.journal.status == "running"
    assert api.calls == [("rebalancing", "suspended")]
    assert lock.held
    assert (result["drain_seconds"], result["healthy_seconds"]) == (5 + 120, 2 * (2 * 5 + 4) + 120)


def test_planning_in_check_mode_touches_nothing() -> None:
    api, store, lock = FakeApi("InService", "InService"), FakeStore(), FakeLock()
    operation.begin(api, store, lock, BEGIN, True)
    assert (api.calls, store.journal, lock.held) == ([], None, False)


def test_while_another_run_holds_the_fleet_nothing_begins() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    with pytest.raises(HeldError, match="alice@ctl1 holds the fleet"):
        operation.begin(api, store, FakeLock(other=True), BEGIN, False)
    assert (api.calls, store.journal) == ([], None)


def test_a_refused_operation_does_not_go_on_holding_the_fleet() -> None:
    lock = FakeLock()
    with pytest.raises(PlanError, match="batch size 0"):
        operation.begin(FakeApi("InService", "InService"), FakeStore(), lock, {**BEGIN, "batch_size": 0}, False)
    assert not lock.held


@pytest.mark.parametrize("resumed", [False, True])
def test_a_beginning_that_fails_half_way_leaves_nothing_begun(resumed: bool) -> None:
    api, store, lock = FakeApi("InService", "InService"), FakeStore(), FakeLock()
    if resumed:
        operation.begin(api, store, lock, BEGIN, False)
        mark(api, store, "i-1", state="standby")
        stop(api, store, lock)
    before = store.journal
    api.refuses_to_suspend = True
    with pytest.raises(ClientError, match="not for you"):
        operation.begin(api, store, lock, BEGIN, False)
    assert not lock.held
    assert store.journal == before if resumed else (store.journal.status, store.journal.hosts) == ("finished", {})
    api.refuses_to_suspend = False
    other = {**BEGIN, "operation": "patch", "subject": "Install"}
    if not resumed:
        assert operation.begin(api, store, lock, other, False)["batches"]


def test_a_run_whose_hold_was_taken_over_writes_nothing_more() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    operation.begin(api, store, FakeLock(), BEGIN, False)
    before = store.journal
    with pytest.raises(HeldError, match="has taken over"):
        stop(api, store, FakeLock(other=True))
    assert store.journal == before
    assert api.calls[-1] == ("rebalancing", "suspended")


def test_an_operation_cannot_finish_while_a_host_is_in_standby() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    operation.begin(api, store, FakeLock(), BEGIN, False)
    mark(api, store, "i-1")
    mark(api, store, "i-2", state="standby")
    api.enter_standby("i-2")
    with pytest.raises(PlanError, match="not in service: i-2 in us-east-1b, Standby"):
        operation.update(api, store, FakeLock(), FINISH, False)


def test_an_operation_cannot_finish_before_a_host_that_was_launched_meanwhile_is_done() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    operation.begin(api, store, FakeLock(), BEGIN, False)
    mark(api, store, "i-1", "i-2")
    api.lifecycle["i-3"] = "Pending"
    with pytest.raises(PlanError, match="launched meanwhile, or never reached: i-3"):
        operation.update(api, store, FakeLock(), FINISH, True)
    late = operation.late(api, store, FakeLock(), OPTIONS, False)
    assert late["batches"] == [["i-3"]]
    mark(api, store, "i-3")
    operation.update(api, store, FakeLock(), FINISH, False)
    assert store.journal.status == "finished"


def test_hosts_that_leave_the_group_do_not_keep_an_operation_from_finishing() -> None:
    api, store = FakeApi("InService", "InService", "Terminating:Wait"), FakeStore()
    begun = operation.begin(api, store, FakeLock(), BEGIN, False)
    assert begun["batches"] == [["i-1"], ["i-2"]]
    assert begun["plan"][-1] == "left out: i-3 in us-east-1c, Terminating:Wait: registered nowhere"
    mark(api, store, "i-1", "i-2")
    assert operation.late(api, store, FakeLock(), OPTIONS, False)["batches"] == []
    operation.update(api, store, FakeLock(), FINISH, False)


@pytest.mark.parametrize("end", ["stop", "finish"])
def test_an_operation_that_ends_leaves_no_process_suspended_and_holds_nothing(end: str) -> None:
    api, store, lock = FakeApi("InService", "InService"), FakeStore(), FakeLock()
    operation.begin(api, store, lock, BEGIN, False)
    mark(api, store, "i-1", "i-2")
    operation.update(api, store, lock, {**OPTIONS, "state": end, "reason": "why"}, False)
    assert api.calls[-1] == ("rebalancing", "resumed")
    assert not lock.held


def test_what_somebody_else_had_suspended_stays_suspended() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    api.suspended = ("AZRebalance", "AlarmNotification")
    operation.begin(api, store, FakeLock(), BEGIN, False)
    stop(api, store)
    operation.begin(api, store, FakeLock(), BEGIN, False)
    mark(api, store, "i-1", "i-2")
    operation.update(api, store, FakeLock(), FINISH, False)
    assert api.calls == []


@pytest.mark.parametrize("process", ["Launch", "AddToLoadBalancer"])
def test_no_host_is_taken_out_while_the_group_could_not_take_it_back(process: str) -> None:
    api, store, lock = FakeApi("InService", "InService"), FakeStore(), FakeLock()
    api.suspended = ("Terminate", process)
    for check_mode in (True, False):
        with pytest.raises(PlanError, match=f"{process} is suspended.*resume-processes"):
            operation.begin(api, store, lock, BEGIN, check_mode)
        assert (api.calls, store.journal, lock.held) == ([], None, False)
    with pytest.raises(PlanError, match=f"{process} is suspended"):
        operation.move_host(api, "i-1", "standby")
    assert api.calls == []


def test_a_host_in_standby_is_returned_also_when_registering_new_ones_is_suspended() -> None:
    api = FakeApi("Standby", "InService")
    api.suspended = ("AddToLoadBalancer",)
    assert operation.move_host(api, "i-1", "in_service")["changed"]


def test_what_a_killed_run_has_suspended_is_resumed_by_the_run_that_resumes_it() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    operation.begin(api, store, FakeLock(), BEGIN, False)
    api.suspended = ("AZRebalance",)
    operation.begin(api, store, FakeLock(), {**BEGIN, "subject": "1.2.0", "force": True}, False)
    stop(api, store)
    assert api.calls[-1] == ("rebalancing", "resumed")


def test_every_host_that_stops_the_operation_is_in_the_journal_and_those_of_an_earlier_run_are_not() -> None:
    api, store, lock = FakeApi("InService", "InService", "InService"), FakeStore(), FakeLock()
    operation.begin(api, store, lock, BEGIN, False)
    for reason in ("i-1 is never ready", "i-2 is lost"):
        operation.update(api, store, lock, {"state": "stop", "reason": reason, **OPTIONS}, False)
    assert (store.journal.status, store.journal.message) == ("stopped", "i-1 is never ready | i-2 is lost")
    operation.begin(api, store, lock, BEGIN, False)
    stop(api, store, lock)
    assert store.journal.message == "why"


def test_a_stop_that_cannot_be_recorded_resumes_the_balancing_and_ends_the_hold_all_the_same() -> None:
    api, store, lock = FakeApi("InService", "InService"), FakeStore(), FakeLock()
    operation.begin(api, store, lock, BEGIN, False)
    store.broken = True
    with pytest.raises(UserError, match="writing the journal: the journal can't be written"):
        stop(api, store, lock)
    assert api.calls[-1] == ("rebalancing", "resumed")
    assert not lock.held


def test_a_host_left_in_standby_by_the_operation_that_is_resumed_is_taken_first() -> None:
    api, store = FakeApi("InService", "InService", "InService"), FakeStore()
    operation.begin(api, store, FakeLock(), BEGIN, False)
    mark(api, store, "i-3", state="standby")
    api.lifecycle["i-3"] = "EnteringStandby"
    assert operation.begin(api, store, FakeLock(), BEGIN, False)["batches"][0] == ["i-3"]
    assert ("settled", "i-3") in api.calls


def test_a_host_that_somebody_else_has_in_standby_is_refused_unless_asked_for() -> None:
    api, store = FakeApi("InService", "InService", "Standby"), FakeStore()
    with pytest.raises(PlanError, match=r"i-3 in us-east-1c, Standby.*no operation.*fleet_force=true"):
        operation.begin(api, store, FakeLock(), BEGIN, False)
    assert api.calls == []
    assert operation.begin(api, store, FakeLock(), {**BEGIN, "force": True}, False)["batches"][0] == ["i-3"]
