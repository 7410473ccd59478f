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
COMPRESSED = (".tar", ".zst", ".gz", ".zip", ".bz2", ".rar")
TIMESTAMP = "{timestamp_format}"
"""As a pattern: what the timestamp format looks like."""

_NUMBERS = dict.fromkeys(("%y", "%H", "%M", "%S"), r"\d\d")
_NAMES = dict.fromkeys(("%a", "%A", "%b", "%B"), "[A-Z][a-z]+")
_DAYS = dict.fromkeys(("%m", "%d", "%-d"), r"\s?\d\d?")
_TOKENS = {**_NUMBERS, **_NAMES, **_DAYS, "%Y": r"\d{4}", "%f": r"\d{1,6}", "%z": r"[+-]\d{4}"}
"""What each letter of a timestamp format looks like in a line."""


@dataclass
class Tail:
    """One file of an entry, and how far it has been shipped."""

    path: str
    group: str
    stream: str
    retention_days: int
    start: re.Pattern[str]
    """A line that begins an event; others belong to the one before."""
    timestamp_format: str = ""
    utc: bool = True
    inode: int = 0
    offset: int = 0
    pending: list[dict[str, Any]] = field(default_factory=list)
    pending_bytes: int = 0
    pending_offset: int = 0
    _handle: BinaryIO | None = None

    def poll(self) -> None:
        """Reads complete lines that are new into `pending`, as far as one batch goes. A rotated file is read to its end first."""
        if self._handle is None:
            self._open()
        if self._handle is None or self.full() or self._read(self._handle) or self.pending:
            return
        try:
            status = Path(self.path).stat()
        except FileNotFoundError:
            return
        if status.st_ino != self.inode or status.st_size < self.pending_offset:
            self._handle.close()
            self.inode = 0
            self._open()
            if self._handle:
                self._read(self._handle)

    @property
    def gone(self) -> bool:
        """The file is no longer there, and all of it is shipped."""
        unread = self._handle is not None and os.fstat(self._handle.fileno()).st_size > self.pending_offset
        return not self.pending and not unread and not Path(self.path).exists()

    def _open(self) -> None:
        try:
            self._handle = Path(self.path).open("rb")  # noqa: SIM115 - closed when the file is another one
        except FileNotFoundError:
            return
        inode = os.fstat(self._handle.fileno()).st_ino
        known = self.offset if inode == self.inode else 0
        self.inode, self.offset, self.pending_offset = inode, known, known

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
        if not text.strip():
            return
        if self.pending and not self.start.search(text):
            self.pending[-1]["message"] += f"\n{text}"
        else:
            self.pending.append({"timestamp": moment(text, self.timestamp_format, self.utc), "message": text})
        self.pending_bytes += len(text.encode()) + EVENT_OVERHEAD


@dataclass
class Source:
    """One entry of the configuration's collect_list, with its names resolved. Raises re.error for a pattern that can't be compiled."""

    path: str
    group: str
    stream: str
    retention_days: int
    timestamp_format: str = ""
    utc: bool = True
    multi_line_start_pattern: str = ""
    publish_multi_logs: bool = False
    tails: dict[str, Tail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pattern = self.multi_line_start_pattern
        self._start = re.compile(
            timestamp_pattern(self.timestamp_format) if pattern == TIMESTAMP else pattern or r"^\S"
        )

    def look(self, state: State) -> list[Tail]:
        """Every file to be followed: each that matches with publish_multi_logs, else whichever was the newest at a look."""
        for name in [name for name, tail in self.tails.items() if tail.gone]:
            del self.tails[name]
        for name in self._targets():
            if name not in self.tails:
                stream = self.stream
                if self.publish_multi_logs:
                    stream += "_" + re.sub(r"[^.\-_#A-Za-z0-9]", "_", name)
                self.tails[name] = Tail(
                    name, self.group, stream, self.retention_days, self._start, self.timestamp_format, self.utc
                )
                state.load(self.tails[name])
        return list(self.tails.values())

    def _targets(self) -> list[str]:
        found = [Path(name) for name in sorted(glob.glob(self.path))]  # noqa: PTH207 - the pattern is absolute
        files = [file for file in found if file.is_file() and file.suffix not in COMPRESSED]
        if not self.publish_multi_logs and files:
            files = [max(files, key=lambda file: file.stat().st_mtime)]
        return [str(file) for file in files]


def timestamp_pattern(timestamp_format: str) -> str:
    """What a timestamp format looks like in a line."""
    return "".join(_TOKENS.get(part, re.escape(part)) for part in re.findall(r"%-?[A-Za-z]|.", timestamp_format))


def moment(line: str, timestamp_format: str, utc: bool) -> int:
    """The milliseconds since 1970 that the line names in `timestamp_format`; now when it names none."""
    now = time.time()
    pattern = timestamp_pattern(timestamp_format)
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
    """How far every file was shipped, one small file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _file(self, tail: Tail) -> Path:
        return self._folder / tail.path.replace("/", "_")

    def load(self, tail: Tail) -> None:
        try:
            saved = json.loads(self._file(tail).read_text())
            tail.inode, tail.offset = int(saved["inode"]), int(saved["offset"])
        except (OSError, ValueError, KeyError):
            return
        tail.pending_offset = tail.offset

    def save(self, tail: Tail) -> None:
        target = self._file(tail)
        fresh = target.with_name(f".{target.name}.new")
        fresh.write_text(json.dumps({"file": tail.path, "inode": tail.inode, "offset": tail.offset}))
        os.replace(fresh, target)  # noqa: PTH105


def resolved(text: str, names: Mapping[str, str]) -> str:
    """`{instance_id}`, `{hostname}`, … replaced."""
    for key, value in names.items():
        text = text.replace(f"{{{key}}}", value)
    return text
