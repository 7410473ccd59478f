"""Waiting for what takes a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest


def wait_for(what: str, condition: Callable[[], Any], timeout: float = 120, every: float = 0.1) -> Any:
    """The first true value of `condition`; fails the test, naming `what`, when there is none in time.

    The default is long: a boot beside other tests on two cores may take a minute, and only a failing test waits that long.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    pytest.fail(f"no {what} within {timeout:g} s")
