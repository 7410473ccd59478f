"""A control group for every machine.

Without groups of their own all machines would share one tree: systemd in one of them would count the processes of a service of the
same name in another one, and fail to start or stop its own.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def unified() -> bool:
    """Whether this machine has cgroup v2 only."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The hierarchies in which systemd keeps track of its services."""
    return [ROOT] if unified() else [p for p in (ROOT / "systemd", ROOT / "unified") if p.is_dir()]


def make(lab: str, machine: str) -> list[Path]:
    """The machine's groups, one a hierarchy, made if need be."""
    groups = [hierarchy / _of(lab) / machine for hierarchy in hierarchies()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    return groups


def processes(lab: str, machine: str, unit: str) -> list[int]:
    """The processes of a service of the machine, as seen from here."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        for file in (hierarchy / _of(lab) / machine).rglob(f"{unit}/cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in file.read_text().split())
    return sorted(found)


def remove(lab: str, machine: str | None = None) -> None:
    """Removes the machine's groups, or all of the lab. A group in which something still runs stays."""
    for hierarchy in hierarchies():
        top = hierarchy / _of(lab) / machine if machine else hierarchy / _of(lab)
        if not top.is_dir():
            continue
        for group in sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()


def _of(lab: str) -> str:
    return f"fleet-{lab}"
