"""Following log files: from the beginning, over rotation and truncation, and on from where the last run ended."""

from __future__ import annotations

import calendar
import glob
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

READ_BYTES = 1 << 20
EVENT_BYTES = 256 * 1024
"""The largest event that PutLogEvents takes, less its overhead; longer lines are cut."""
EVENT_OVERHEAD = 26
BATCH_BYTES = 1_000_000
BATCH_EVENTS = 10_000

_NUMBERS = dict.fromkeys(("%y", "%H", "%M", "%S"), r"\d\d")
_NAMES = dict.fromkeys(("%a", "%A", "%b", "%B"), "[A-Z][a-z]+")
_DAYS = dict.fromkeys(("%m", "%d", "%-d"), r"\s?\d\d?")
_TOKENS = {**_NUMBERS, **_NAMES, **_DAYS, "%Y": r"\d{4}", "%f": r"\d{1,6}", "%z": r"(?:Z|[+-]\d\d:?\d\d)"}
"""What each letter of a timestamp format looks like in a line."""


@dataclass
class Source:
    """One entry of the configuration's collect_list, with its names resolved, and how far its file has been shipped."""

    path: str
    group: str
    stream: str
    retention_days: int
    timestamp_format: str = ""
    utc: bool = True
    file: str = ""
    inode: int = 0
    offset: int = 0
    pending: list[dict[str, Any]] = field(default_factory=list)
    pending_bytes: int = 0
    pending_offset: int = 0
    _handle: BinaryIO | None = None
    _left: dict[int, int] = field(default_factory=dict)

    def poll(self) -> None:
        """Reads complete lines that are new into `pending`, as far as one batch goes. A rotated file is read to its end first."""
        if self._handle is None:
            self._open()
        if self._handle is None or self.full() or self._read(self._handle):
            return
        newest = self._newest()
        if newest is None or self.pending:
            return
        status = newest.stat()
        if status.st_ino != self.inode or status.st_size < self.pending_offset:
            self._left[self.inode] = self.pending_offset if status.st_ino != self.inode else 0
            self._handle.close()
            self._open()
            if self._handle:
                self._read(self._handle)

    def _open(self) -> None:
        newest = self._newest()
        self._handle = newest.open("rb") if newest else None
        if newest and self._handle:
            inode = os.fstat(self._handle.fileno()).st_ino
            known = self._left.pop(inode, self.offset if inode == self.inode else 0)
            self.file, self.inode, self.offset, self.pending_offset = str(newest), inode, known, known

    def _read(self, log: BinaryIO) -> bool:
        """Whether there were whole lines to read."""
        log.seek(self.pending_offset)
        block = log.read(READ_BYTES)
        whole = block[: block.rfind(b"\n") + 1] or (block if len(block) == READ_BYTES else b"")
        for line in whole.splitlines(keepends=True):
            if self.full():
                break
            self.pending_offset += len(line)
            self._add(line.rstrip(b"\r\n"))
        return bool(whole)

    def full(self) -> bool:
        return self.pending_bytes >= BATCH_BYTES - EVENT_BYTES - EVENT_OVERHEAD or len(self.pending) >= BATCH_EVENTS

    def shipped(self) -> None:
        self.offset = self.pending_offset
        self.pending, self.pending_bytes = [], 0

    def _add(self, line: bytes) -> None:
        text = line[:EVENT_BYTES].decode("utf-8", "replace")
        if text.strip():
            self.pending.append({"timestamp": moment(text, self.timestamp_format, self.utc), "message": text})
            self.pending_bytes += len(text.encode()) + EVENT_OVERHEAD

    def _newest(self) -> Path | None:
        files = [Path(name) for name in glob.glob(self.path)]  # noqa: PTH207 - the pattern is absolute
        present = [file for file in files if file.is_file()]
        return max(present, key=lambda file: file.stat().st_mtime, default=None)


def moment(line: str, timestamp_format: str, utc: bool) -> int:
    """The milliseconds since 1970 that the line names in `timestamp_format`; now when it names none."""
    now = time.time()
    pattern = "".join(_TOKENS.get(part, re.escape(part)) for part in re.findall(r"%-?[A-Za-z]|.", timestamp_format))
    found = re.search(pattern, line) if pattern else None
    if found is None:
        return int(now * 1000)
    text, form = found.group(), timestamp_format.replace("%-d", "%d")
    if "%Y" not in form:
        text, form = f"{time.gmtime(now).tm_year} {text}", f"%Y {form}"
    try:
        parsed = time.strptime(text, form)
    except ValueError:
        return int(now * 1000)
    if parsed.tm_gmtoff is None and not utc:
        return int(time.mktime(parsed) * 1000)
    return (calendar.timegm(parsed) - (parsed.tm_gmtoff or 0)) * 1000


class State:
    """How far every file was shipped, one small file per source."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _file(self, source: Source) -> Path:
        return self._folder / source.path.replace("/", "_")

    def load(self, source: Source) -> None:
        try:
            saved = json.loads(self._file(source).read_text())
            source.file, source.inode, source.offset = str(saved["file"]), int(saved["inode"]), int(saved["offset"])
        except (OSError, ValueError, KeyError):
            return
        source.pending_offset = source.offset

    def save(self, source: Source) -> None:
        target = self._file(source)
        fresh = target.with_name(f".{target.name}.new")
        fresh.write_text(json.dumps({"file": source.file, "inode": source.inode, "offset": source.offset}))
        os.replace(fresh, target)  # noqa: PTH105


def resolved(text: str, names: Mapping[str, str]) -> str:
    """`{instance_id}`, `{hostname}`, … replaced."""
    for key, value in names.items():
        text = text.replace(f"{{{key}}}", value)
    return text
