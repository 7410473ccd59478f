"""Labs of the tests' own: no test ever uses, names or ends a lab that somebody else has up."""

from __future__ import annotations

import fcntl
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import IO

from lab import processes
from lab.settings import Settings

LOCKS = Path("/run/lock")
_claimed: list[IO[str]] = []
"""Held until this process ends, however it ends: the kernel releases them."""


def own_name(suite: str, state: Path | None = None) -> str:
    """A lab's name that no other run of the tests has now, whatever checkout it is of.

    What a killed run has left under that name is removed, wherever its files were: the lock of the name says where. A name
    whose network namespace no run of the tests has made is left alone. ``suite``: at most 6 lower-case letters; ``state``:
    where the lab keeps its files, if not in the usual place.
    """
    for number in range(100):
        name = f"{suite}{number}"
        lock = (LOCKS / f"ecommerce-fleet-test-{name}").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        settings = Settings.load(environment(name))
        if not _removed(lock, settings):
            lock.close()
            continue
        lock.truncate(0)
        lock.write(str(state or settings.state))
        lock.flush()
        _claimed.append(lock)
        return name
    raise RuntimeError(f"100 runs of the tests have labs named {suite}…; are they still running? See {LOCKS}")


def _removed(lock: IO[str], settings: Settings) -> bool:
    """Whether no network namespace of that name is left. Only one of a run that held this lock before is removed."""
    if not settings.netns_path.exists():
        return True
    lock.seek(0)
    state = lock.read()
    if not state:
        return False
    processes.end(replace(settings, state=Path(state)))
    subprocess.run(["ip", "netns", "delete", settings.netns], check=True, timeout=10)
    return True


def environment(name: str, **more: str) -> dict[str, str]:
    """The environment of commands that are to use that lab, whichever lab the user's own environment names."""
    kept = {
        key: value for key, value in os.environ.items() if key not in ("LAB_NAME", "LAB_STATE", "LAB_OS", "LAB_BASE")
    }
    return {**kept, "LAB_NAME": name, "NO_COLOR": "1", **more}
