from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils import fleet_aws
from ansible_collections.ecommerce.fleet.plugins.module_utils.fleet_plan import (
    Fleet,
    Host,
    PlanError,
    Target,
    TargetGroup,
)
from ansible_collections.ecommerce.fleet.plugins.modules import (
    fleet_operation,
    fleet_rotation,
    ssm_command,
    ssm_document,
)


class FakeApi:
    """A fleet whose hosts move at once; ``broken`` hosts never get healthy."""

    def __init__(self, *lifecycles: str, broken: tuple[str, ...] = ()) -> None:
        self.lifecycle = {f"i-{n}": state for n, state in enumerate(lifecycles, 1)}
        self.broken = broken
        self.calls: list[tuple[str, Any]] = []

    def read(self) -> Fleet:
        hosts = tuple(
            Host(i, f"us-east-1{'abc'[n % 3]}", state, self._targets(i, state))
            for n, (i, state) in enumerate(self.lifecycle.items())
        )
        return Fleet("shop", 1, 6, len(hosts), hosts, (TargetGroup("arn", "web", 5, 5, 4, 2),))

    def _targets(self, instance_id: str, lifecycle: str) -> tuple[Target, ...]:
        if lifecycle != "InService":
            return ()
        return (Target("web", "unhealthy" if instance_id in self.broken else "healthy"),)

    def take_out(self, instance_id: str) -> None:
        self.calls.append(("out", instance_id))
        self.lifecycle[instance_id] = "Standby"

    def put_back(self, instance_id: str) -> None:
        self.calls.append(("in", instance_id))
        self.lifecycle[instance_id] = "InService"

    def hold_balance(self, hold: bool) -> None:
        self.calls.append(("hold", hold))

    def wait_out(self, instance_id: str, seconds: float) -> Host:
        return self.read().host(instance_id)

    def wait_serving(self, instance_id: str, seconds: float) -> Host:
        host = self.read().host(instance_id)
        if not host.serving:
            raise fleet_aws.WaitTimeoutError(f"{instance_id} healthy", seconds, host)
        return host


class FakeStore:
    def __init__(self) -> None:
        self.journal: Any = None

    def read(self) -> Any:
        return self.journal

    def write(self, journal: Any) -> None:
        self.journal = journal


BEGIN = {"state": "begin", "operation": "roll", "subject": "1.1.0", "force": False, "batch_size": 1, "work_seconds": 60}


def test_a_host_is_taken_out_once() -> None:
    api = FakeApi("InService", "InService")
    assert fleet_rotation.rotate(api, "i-1", "out", None, False)["changed"] is True
    assert fleet_rotation.rotate(api, "i-1", "out", None, False)["changed"] is False
    assert api.calls == [("out", "i-1")]


def test_check_mode_moves_nothing_and_tells_what_would_change() -> None:
    api = FakeApi("InService", "InService")
    assert fleet_rotation.rotate(api, "i-1", "out", None, True)["changed"] is True
    assert api.calls == []


def test_a_host_that_never_gets_healthy_is_an_error_that_names_it() -> None:
    api = FakeApi("Standby", "InService", broken=("i-1",))
    with pytest.raises(fleet_aws.WaitTimeoutError, match="i-1 healthy"):
        fleet_rotation.rotate(api, "i-1", "in", 1, False)


def test_a_host_of_another_group_is_refused() -> None:
    with pytest.raises(PlanError, match="i-9 is not a member"):
        fleet_rotation.rotate(FakeApi("InService"), "i-9", "out", None, False)


def test_beginning_writes_the_journal_and_suspends_only_the_balancing_of_zones() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    result = fleet_operation.begin(api, store, BEGIN, False)
    assert result["batches"] == [["i-1"], ["i-2"]]
    assert store.journal.status == "running"
    assert api.calls == [("hold", True)]


def test_planning_in_check_mode_touches_nothing() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    fleet_operation.begin(api, store, BEGIN, True)
    assert (api.calls, store.journal) == ([], None)


def test_an_operation_cannot_finish_while_a_host_is_out() -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    fleet_operation.begin(api, store, BEGIN, False)
    api.take_out("i-2")
    with pytest.raises(PlanError, match="i-2 not in service"):
        fleet_operation.change(api, store, {"state": "finish"}, False)


@pytest.mark.parametrize("end", ["stop", "finish"])
def test_an_operation_that_ends_leaves_no_process_suspended(end: str) -> None:
    api, store = FakeApi("InService", "InService"), FakeStore()
    fleet_operation.begin(api, store, BEGIN, False)
    fleet_operation.change(api, store, {"state": end, "message": "why"}, False)
    assert api.calls[-1] == ("hold", False)


def test_waiting_ends_at_its_deadline_with_what_was_seen_last() -> None:
    with pytest.raises(fleet_aws.WaitTimeoutError, match="the moon is blue: not so after 0 s; last seen: red"):
        fleet_aws.wait_for("the moon is blue", lambda: "red", lambda colour: colour == "blue", 0)


def test_a_failed_command_is_reported_by_host_step_exit_code_and_output() -> None:
    steps = [
        {"name": "first", "status": "Success", "response_code": 0, "stdout": "fine", "stderr": ""},
        {"name": "PatchHost", "status": "Failed", "response_code": 7, "stdout": "", "stderr": "no space left"},
    ]
    invocations = {
        "i-1": {"status": "Failed", "details": "Failed", "steps": steps},
        "i-2": {"status": "Success", "details": "Success", "steps": steps[:1]},
    }
    assert ssm_command.failures(invocations) == ["i-1: Failed in step PatchHost (exit code 7): no space left"]


class FakeSsm:
    """The document calls of Systems Manager."""

    class exceptions:  # noqa: N801 - boto3's name
        class InvalidDocument(Exception):  # noqa: N818 - AWS's name
            pass

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.default = 0

    def get_document(self, **_: Any) -> dict[str, str]:
        if not self.versions:
            raise self.exceptions.InvalidDocument
        return {"Content": self.versions[self.default - 1], "DocumentVersion": str(self.default)}

    def create_document(self, Content: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.versions, self.default = [Content], 1
        return {"DocumentDescription": {"DocumentVersion": "1"}}

    def update_document(self, Content: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.versions.append(Content)
        return {"DocumentDescription": {"DocumentVersion": str(len(self.versions))}}

    def update_document_default_version(self, DocumentVersion: str, **_: Any) -> None:  # noqa: N803
        self.default = int(DocumentVersion)


def test_a_document_is_created_then_left_alone_then_updated_when_its_meaning_changes() -> None:
    ssm = FakeSsm()
    wanted = {"name": "patch", "content": "schemaVersion: '2.2'\n", "target_type": "/AWS::EC2::Instance"}
    assert ssm_document.ensure(ssm, wanted, False) == {"changed": True, "version": "1"}
    assert ssm_document.ensure(ssm, {**wanted, "content": 'schemaVersion: "2.2"  # same\n'}, False)["changed"] is False
    assert ssm_document.ensure(ssm, {**wanted, "content": "schemaVersion: '0.3'\n"}, False) == {
        "changed": True,
        "version": "2",
    }
    assert ssm.default == 2
