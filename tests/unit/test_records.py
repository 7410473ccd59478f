"""Copies of moto's records: whole, independent, and put back as often as one likes."""

from __future__ import annotations

import threading
from typing import Any

from lab.daemon.records import copy_of, original_of


class Record:
    def __init__(self) -> None:
        self.values = {"a": [1, 2]}
        self.other: Record | None = None
        self.lock = threading.Lock()
        self.default = lambda: 3


def backends(*records: Any) -> dict[str, dict[str, dict[str, Any]]]:
    return {"ec2": {"000000000000": {f"region-{number}": record for number, record in enumerate(records)}}}


def test_a_change_after_the_copy_is_not_in_what_is_put_back() -> None:
    record = Record()
    copy = copy_of(backends(record))
    record.values["a"].append(3)
    first = original_of(copy)["ec2"]["000000000000"]["region-0"]
    assert first.values == {"a": [1, 2]}
    first.values["a"].clear()
    assert original_of(copy)["ec2"]["000000000000"]["region-0"].values == {"a": [1, 2]}


def test_records_that_refer_to_each_other_still_do() -> None:
    one, two = Record(), Record()
    one.other, two.other = two, one
    found = original_of(copy_of(backends(one, two)))["ec2"]["000000000000"]
    assert found["region-0"].other is found["region-1"]
    assert found["region-1"].other is found["region-0"]
    assert found["region-0"] is not one


def test_locks_and_functions_are_shared_with_the_original() -> None:
    record = Record()
    found = original_of(copy_of(backends(record)))["ec2"]["000000000000"]["region-0"]
    assert found.lock is record.lock
    assert found.default is record.default
