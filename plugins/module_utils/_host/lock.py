# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time on this host: a lock on a file, which the kernel takes away from a process that ends.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

import contextlib
import fcntl
import os
import time

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Iterator  # noqa: F401

POLL_SECONDS = 0.2


class BusyError(Exception):
    """Another process has the lock."""


@contextlib.contextmanager
def held(path, seconds):
    # type: (str, float) -> Iterator[None]
    """Holds the lock; waits for it `seconds` at most, then raises BusyError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.time() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except (IOError, OSError):
                if time.time() >= deadline:
                    raise BusyError("%s is held by another process" % path)
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)
