"""Finding and ending the lab's own processes, from /proc alone: what a killed lab left behind needs no record to be found."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lab.settings import Settings

LISTEN = "0A"
"""A socket's state in /proc/<pid>/net/tcp."""


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return False


def is_init(pid: int) -> bool:
    """Whether the process is PID 1 of a PID namespace below ours (a machine's first process)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                ids = line.split()[1:]
                return len(ids) > 1 and ids[-1] == "1"
    except OSError:
        pass
    return False


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def listens(pid: int, port: int) -> bool:
    """Whether anything listens on a TCP port in the network namespace of the process."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        if any(local.endswith(f":{port:04X}") and state == LISTEN for _, local, _, state, *_ in map(str.split, lines)):
            return True
    return False


def in_lab(settings: Settings, pid: int) -> bool:
    """Whether the process runs in the lab's network namespace."""
    namespace = _inode(settings.netns_path)
    return namespace != 0 and _inode(Path(f"/proc/{pid}/ns/net")) == namespace


def ours(settings: Settings) -> list[int]:
    """Every process of this lab, but for this one and those that it was started by.

    A process is the lab's when it runs in the lab's network namespace or sees a machine's root file system mounted.
    """
    mark = f"upperdir={settings.machines_dir}/"
    spared = set(_ancestors())
    return [pid for pid in _pids() if pid not in spared and (in_lab(settings, pid) or mark in _mounts(pid))]


def end(settings: Settings, *, patience: float = 5) -> int:
    """Ends every process of this lab; returns how many there were.

    The machines' first processes go first, by SIGKILL, and their systemd-nspawn then ends by itself: an nspawn that is killed itself would
    leave its machine running.
    """
    found = ours(settings)
    _signal((p for p in found if is_init(p)), signal.SIGKILL)
    _wait_gone(settings, patience, lambda pid: is_init(pid) or _is_nspawn(pid))
    _signal(ours(settings), signal.SIGTERM)
    _wait_gone(settings, patience, lambda _: True)
    _signal(ours(settings), signal.SIGKILL)
    _wait_gone(settings, patience, lambda _: True)
    return len(found)


def terminate(pid: int, patience: float) -> None:
    """Asks one process to end and waits for it; it is not forced."""
    _signal([pid], signal.SIGTERM)
    deadline = time.monotonic() + patience
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)


def _wait_gone(settings: Settings, patience: float, which: Callable[[int], bool]) -> None:
    deadline = time.monotonic() + patience
    while any(which(p) for p in ours(settings)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _is_nspawn(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("systemd-nspawn")
    except OSError:
        return False


def _pids() -> Iterator[int]:
    return (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit())


def _ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid > 0:
        yield pid
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _mounts(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/mountinfo").read_text(errors="replace")
    except OSError:
        return ""
