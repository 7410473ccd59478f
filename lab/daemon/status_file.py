"""The file in which the daemon records that it is ready, for the commands."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from lab import processes
from lab.errors import LabError
from lab.settings import OperatingSystem, Settings


@dataclass(frozen=True)
class Daemon:
    pid: int
    started: str
    """UTC, ISO 8601."""
    oses: tuple[OperatingSystem, ...]


def write(settings: Settings, daemon: Daemon) -> None:
    """Appears whole, and only when the lab is ready for use."""
    new = settings.status_file.with_suffix(".new")
    new.write_text(json.dumps(asdict(daemon), indent=1))
    new.replace(settings.status_file)


def read(settings: Settings) -> Daemon | None:
    """The ready daemon; None if there is none or it was killed."""
    try:
        found = json.loads(settings.status_file.read_text())
        daemon = Daemon(int(found["pid"]), str(found["started"]), tuple(found["oses"]))
    except (OSError, ValueError, KeyError):
        return None
    return daemon if processes.alive(daemon.pid) and processes.in_lab(settings, daemon.pid) else None


def require(settings: Settings) -> Daemon:
    daemon = read(settings)
    if daemon is None:
        raise LabError(f"The lab {settings.name!r} is not up", hint="Start it: `lab up`.")
    return daemon
