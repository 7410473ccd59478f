"""A terminal inside a machine: made in the machine's own devpts, so that `tty` and /dev/pts there know it."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

TIOCSPTLCK = 0x40045431
TIOCGPTPEER = 0x5441
"""ioctl_tty(2). The second opens the other end without a path, which would be of another namespace."""


def open_pair(leader: int) -> tuple[int, int]:
    """(the terminal's own end, the end for its processes) in the mount namespace of a process. Raises OSError."""
    own = os.open(Path(f"/proc/{leader}/root/dev/pts/ptmx"), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(own, TIOCSPTLCK, struct.pack("i", 0))
        return own, fcntl.ioctl(own, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        os.close(own)
        raise
