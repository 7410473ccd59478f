"""What was written to AWS before a failure is restored as far as it can be, and what is left is named."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.parameters import Change, write_all
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.restoring import NotRestoredError, undone_on_failure


class Store:
    """A Parameter Store. ``refused``: (name, value) of writes that fail; ``lost``: those whose answer does not arrive."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.refused: set[tuple[str, str]] = set()
        self.lost: set[tuple[str, str]] = set()

    def get_parameters(self, **asked: list[str]) -> dict[str, Any]:
        return {"Parameters": [{"Name": n, "Value": self.values[n]} for n in asked["Names"] if n in self.values]}

    def put_parameter(self, **asked: Any) -> None:
        write = (asked["Name"], asked["Value"])
        if write in self.refused:
            raise OSError(f"no {write[1]} today")
        self.values[write[0]] = write[1]
        if write in self.lost:
            raise ConnectionError("the answer was lost")

    def delete_parameter(self, **asked: str) -> None:
        if (asked["Name"], "") in self.refused:
            raise OSError("no deletion today")
        del self.values[asked["Name"]]


def changes(*names: str) -> list[Change]:
    return [Change("here", name, "old", "new") for name in names]


def test_a_restoration_that_fails_is_named_and_the_others_are_made() -> None:
    store = Store(a="old", b="old", c="old", d="old")
    store.refused = {("b", "old"), ("d", "new")}
    with pytest.raises(NotRestoredError) as raised:
        write_all({"here": store}, changes("a", "b", "c", "d"), {})
    assert store.values == {"a": "old", "b": "new", "c": "old", "d": "old"}
    assert str(raised.value) == (
        "no new today. Not everything could be restored: b in here may be new, before it was old: no old today"
    )


def test_a_parameter_that_was_created_and_can_not_be_deleted_is_named() -> None:
    store = Store(z="old")
    store.refused = {("fresh", ""), ("z", "new")}
    with pytest.raises(NotRestoredError, match="fresh in here may be new, before it was not there: no deletion today"):
        write_all({"here": store}, [Change("here", "fresh", None, "new"), *changes("z")], {})


def test_a_write_whose_answer_was_lost_is_undone_too() -> None:
    store = Store(a="old", b="old")
    store.lost = {("b", "new")}
    with pytest.raises(ConnectionError):
        write_all({"here": store}, [*changes("a"), Change("here", "fresh", None, "new"), *changes("b")], {})
    assert store.values == {"a": "old", "b": "old"}


def test_blocks_within_one_another_name_all_that_is_left_and_the_first_cause() -> None:
    everything = r"^cause\. Not everything could be restored: inner; outer$"
    with (
        pytest.raises(NotRestoredError, match=everything),
        undone_on_failure(lambda: ["outer"]),
        undone_on_failure(lambda: ["inner"]),
    ):
        raise ValueError("cause")


def test_a_run_that_is_interrupted_is_undone_as_well() -> None:
    undone: list[str] = []
    with pytest.raises(KeyboardInterrupt), undone_on_failure(lambda: undone.append("one"), lambda: ["left"]):
        raise KeyboardInterrupt
    assert undone == ["one"]
