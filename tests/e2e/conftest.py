"""End to end: the demo as a user runs it, then faults injected into the fleet that it leaves behind.

The demo runs once; the lab is saved then, and restored before a test when an earlier one has changed it. So each test runs alone and in any
order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.demo_fleet import AFTER_DEMO, DemoLab, Fleet, Prepared


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    lab = DemoLab(tmp_path_factory.mktemp("demo") / "out")
    try:
        done = lab.run(*lab.demo("al2"), timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
        lab.save(AFTER_DEMO)
        yield Prepared(lab, lab.summary())
    finally:
        lab.down()


@pytest.fixture
def summary(prepared: Prepared) -> dict[str, Any]:
    """What the demo has measured."""
    return prepared.summary


@pytest.fixture
def unchanged_fleet(request: pytest.FixtureRequest, prepared: Prepared) -> Iterator[Fleet]:
    """The fleet as the demo left it, for tests that change nothing. What a test that failed has done is not known."""
    prepared.go_to(AFTER_DEMO)
    failed = request.session.testsfailed
    yield prepared.fleet
    if request.session.testsfailed != failed:
        prepared.at = None


@pytest.fixture
def fleet(prepared: Prepared, unchanged_fleet: Fleet) -> Fleet:
    """The fleet as the demo left it, for tests that may change it."""
    prepared.at = None
    return unchanged_fleet
