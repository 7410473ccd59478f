"""The plugin aws:runShellScript: a script, its exit code and its output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_SECONDS = 3600
STOPPED = 137
"""The exit code of a script that was killed for time or by a cancellation."""
REBOOT = 194
SCRIPT = "_script.sh"
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Ended:
    status: str
    """Success, Failed, TimedOut, Cancelled or Rebooting."""
    code: int
    note: str = ""
    """What the agent adds to the standard error."""


def run_script(
    inputs: dict[str, Any], directory: Path, environment: dict[str, str], cancelled: Callable[[], bool]
) -> Ended:
    """Appends to `stdout` and `stderr` in the directory; returns how it ended."""
    lines = inputs.get("runCommand") or []
    script = directory / SCRIPT
    script.write_text("\n".join([lines] if isinstance(lines, str) else [str(line) for line in lines]) + "\n")
    script.chmod(0o700)
    working = str(inputs.get("workingDirectory") or "") or None
    if working and not Path(working).is_dir():
        return Ended("Failed", 1, f"failed to run commands: chdir {working}: no such file or directory")
    with (directory / "stdout").open("ab") as out, (directory / "stderr").open("ab") as err:
        process = subprocess.Popen(
            ["sh", "-c", str(script)],
            cwd=working,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    return _wait(process, seconds(inputs), cancelled)


def seconds(inputs: dict[str, Any]) -> int:
    text = str(inputs.get("timeoutSeconds") or "")
    return int(text) if text.isdigit() and int(text) > 0 else DEFAULT_SECONDS


def _wait(process: subprocess.Popen[bytes], limit: int, cancelled: Callable[[], bool]) -> Ended:
    end = time.monotonic() + limit
    while True:
        try:
            return _judge(process.wait(timeout=LOOK_SECONDS))
        except subprocess.TimeoutExpired:
            pass
        if cancelled():
            _kill(process)
            return Ended("Cancelled", STOPPED, "failed to run commands: the command was cancelled")
        if time.monotonic() >= end:
            _kill(process)
            return Ended("TimedOut", STOPPED, f"failed to run commands: the script did not end within {limit} s")


def _judge(code: int) -> Ended:
    if code < 0:
        code = 128 - code
    if code == 0:
        return Ended("Success", 0)
    if code == REBOOT:
        return Ended("Rebooting", REBOOT)
    return Ended("Failed", code, f"failed to run commands: exit status {code}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The script with everything that it has started and that is still in its session's process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
