# Copyright: The ecommerce.fleet maintainers
# MIT License
"""One at a time on this host: a lock on a file, which the kernel takes away from a process that ends.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import contextlib
import fcntl
import os
import time

POLL_SECONDS = 0.2


class BusyError(Exception):
    """Somebody else holds the lock."""


@contextlib.contextmanager
def held(path, seconds):
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
