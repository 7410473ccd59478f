# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for AWS: polls with backoff, jitter and a deadline, and survives answers that are late, throttled or not yet consistent."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from .errors import AWS_ERRORS, UserError, is_not_found, is_transient

T = TypeVar("T")

NEW_SECONDS = 60.0
"""How long a service may not know what another call has just created."""


class WaitTimeoutError(UserError):
    """A deadline passed; the message says what was waited for, how long, and the last answer."""

    def __init__(self, what: str, seconds: float, last: str) -> None:
        super().__init__(f"{what}: not so after {seconds:.0f} s; last answer: {last}")
        self.what, self.last = what, last


def polls(seconds: float, first: float = 0.5, most: float = 5.0) -> Iterator[float]:
    """Yield until ``seconds`` are over, sleeping in between with growing, jittered pauses; yields the seconds left."""
    deadline, pause = time.monotonic() + seconds, first
    while True:
        left = deadline - time.monotonic()
        yield max(left, 0.0)
        if left <= 0:
            return
        time.sleep(min(pause * random.uniform(0.8, 1.2), max(left, 0.05)))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 1.3, most)


def wait_for(
    what: str,
    read: Callable[[], T],
    good: Callable[[T], bool],
    seconds: float,
    *,
    new_seconds: float = 0.0,
    describe: Callable[[T], str] = str,
) -> T:
    """Read until ``good``; returns the value. Raises WaitTimeoutError naming ``what`` and the last answer.

    For ``new_seconds`` from the start "not found" counts as an answer that is not yet consistent; later it is raised. ``describe`` puts
    the last answer into words.
    """
    begun, last = time.monotonic(), "none"
    for _left in polls(seconds):
        try:
            value = read()
        except AWS_ERRORS as error:
            new = time.monotonic() - begun < new_seconds
            if not (is_transient(error) or (new and is_not_found(error))):
                raise
            last = str(error)
            continue
        if good(value):
            return value
        last = describe(value)
    raise WaitTimeoutError(what, seconds, last)
