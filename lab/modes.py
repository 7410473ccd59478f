"""What the lab makes is read by services of its machines that are not root, whatever the umask of who starts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

UMASK = 0o022


@contextmanager
def usual_umask() -> Iterator[None]:
    """For the whole process; afterwards it is what it was."""
    before = os.umask(UMASK)
    try:
        yield
    finally:
        os.umask(before)
