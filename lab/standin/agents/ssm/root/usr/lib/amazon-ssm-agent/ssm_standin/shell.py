"""The plugin aws:runShellScript: a script, its exit code and its output, as the real agent (3.3) runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

DEFAULT_SECONDS = 3600
LEAST_SECONDS, MOST_SECONDS = 5, 172_800
"""A time limit outside of these is not taken: the default is."""
STOPPED = 137
"""The exit code of a script that was killed for time or by a cancellation; a script's own 137 counts as out of time too."""
REBOOT = 194
SCRIPT = "_script.sh"
LOOK_SECONDS = 0.1
FAILED = "failed to run commands: "


@dataclass(frozen=True)
class Ended:
    status: str
    """Success, Failed, TimedOut, Cancelled or SuccessAndReboot."""
    code: int
    note: str = ""
    """What the agent adds to the standard error."""


class Output:
    """What the script and all that it has started write, as they write it. At its end once nobody can write any more, as with a pipe."""

    def __init__(self, directory: Path, out: IO[bytes], err: IO[bytes]) -> None:
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._copy, args=(pipe, directory / name), daemon=True)
            for pipe, name in ((out, "stdout"), (err, "stderr"))
        ]
        for thread in self._threads:
            thread.start()

    def _copy(self, pipe: IO[bytes], path: Path) -> None:
        with path.open("ab", buffering=0) as file:
            while (block := os.read(pipe.fileno(), 65536)) and not self._stopped.is_set():
                file.write(block)

    def ended(self, seconds: float) -> bool:
        for thread in self._threads:
            thread.join(seconds / len(self._threads))
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """What is written from now on is lost."""
        self._stopped.set()


def run_script(
    inputs: dict[str, Any], directory: Path, environment: dict[str, str], cancelled: Callable[[], bool]
) -> Ended:
    """Appends to `stdout` and `stderr` in the directory; returns how it ended."""
    try:
        script = _write(inputs.get("runCommand"), directory / SCRIPT)
        process = subprocess.Popen(
            ["sh", "-c", str(script)],
            cwd=_working_directory(str(inputs.get("workingDirectory") or ""), directory),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except TypeError as error:
        return Ended("Failed", 1, f"Invalid format in plugin properties {inputs};\nerror {error}")
    except OSError as error:
        return Ended("Failed", 1, f"{FAILED}chdir {error.filename}: {(error.strerror or '').lower()}")
    assert process.stdout and process.stderr  # noqa: S101 - as asked for above
    return _wait(process, Output(directory, process.stdout, process.stderr), seconds(inputs), cancelled)


def _write(lines: Any, script: Path) -> Path:
    """Raises TypeError for anything but a list of texts: a StringList as one of the lines, a bare text."""
    if lines is not None and not isinstance(lines, list):
        raise TypeError(f"json: cannot unmarshal {_kind(lines)} into Go field RunCommand of type []string")
    for line in lines or []:
        if not isinstance(line, str):
            raise TypeError(f"json: cannot unmarshal {_kind(line)} into Go field RunCommand of type string")
    script.write_text("\n".join(lines or []) + "\n")
    script.chmod(0o700)
    return script


def _kind(value: Any) -> str:
    kinds = ((str, "string"), (list, "array"), (dict, "object"), (bool, "bool"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "number")


def _working_directory(given: str, directory: Path) -> str | None:
    """An absolute path has to be there; a relative one is below what the document has downloaded, else the agent's own is taken."""
    if Path(given).is_absolute():
        return given
    downloaded = directory.parent.parent / "downloads" / given
    return str(downloaded) if downloaded.exists() else None


def seconds(inputs: dict[str, Any]) -> int:
    try:
        limit = int(float(inputs.get("timeoutSeconds") or 0))
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_SECONDS
    return limit if LEAST_SECONDS <= limit <= MOST_SECONDS else DEFAULT_SECONDS


def _wait(process: subprocess.Popen[bytes], output: Output, limit: int, cancelled: Callable[[], bool]) -> Ended:
    """Until the script has ended and nobody holds its output: a child in the background keeps the step running."""
    end = time.monotonic() + limit
    while True:
        if output.ended(LOOK_SECONDS):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return outcome(process.wait(LOOK_SECONDS))
        stopped = "Cancelled" if cancelled() else "TimedOut" if time.monotonic() >= end else ""
        if stopped:
            output.stop()
            return _kill(process, stopped)


def outcome(code: int) -> Ended:
    if code < 0:
        name = signal.strsignal(-code) or f"signal {-code}"
        return Ended("Failed", -1, f"{FAILED}signal: {name.lower()}")
    known = {0: "Success", REBOOT: "SuccessAndReboot", STOPPED: "TimedOut"}
    return Ended(known[code], code) if code in known else Ended("Failed", code, f"{FAILED}exit status {code}")


def _kill(process: subprocess.Popen[bytes], status: str) -> Ended:
    """The script with everything that it has started and that is still in its process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return Ended("Failed", 1, f"{FAILED}no such process")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    return Ended(status, STOPPED)
