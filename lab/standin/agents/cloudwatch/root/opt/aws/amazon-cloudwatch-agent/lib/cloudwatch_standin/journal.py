"""The agent's own log file, in the real one's form: time, level, message."""

from __future__ import annotations

import time
from pathlib import Path


class Journal:
    """Appends lines. A message that repeats is written once a minute, so that an outage does not fill the disk."""

    REPEAT_SECONDS = 60

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: dict[str, float] = {}

    def write(self, level: str, message: str) -> None:
        """`level`: I, W or E."""
        now = time.monotonic()
        if now - self._last.get(message, -self.REPEAT_SECONDS) < self.REPEAT_SECONDS:
            return
        self._last[message] = now
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {level}! {message}\n")
