"""What a person sees while the demo runs: one line a step, and what the step is doing right now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

TAIL_LINES = 25
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Lines that say what is going on: Ansible's tasks, Packer's steps, the lab's progress.
_NEWS = re.compile(r"^(?:TASK \[(?P<task>[^\]]+)\]|==> \S+ (?P<packer>.+)|lab: (?P<lab>.+))")


class StepFailedError(Exception):
    """A step's command failed; the message has the command, the end of its output and where all of it is."""


class Screen:
    """Steps on the terminal; plain lines where there is no terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.seconds: dict[str, float] = {}
        self.spans: list[tuple[str, float, float]] = []
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """A step of the demo; its duration goes into ``seconds`` and its begin and end (Unix time) into ``spans``."""
        begin = time.time()
        self._spinner.update(text=Text(title))
        if self.console.is_terminal:
            with Live(self._spinner, console=self.console, transient=True, refresh_per_second=8) as self._live:
                yield
            self._live = None
        else:
            self.console.print(f"… {title}")
            yield
        end = time.time()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + end - begin, 1)
        self.spans.append((name, begin, end))
        self.console.print(f"[green]✓[/] {title} [dim]{end - begin:.1f} s[/]")

    def news(self, title: str, line: str) -> None:
        found = _NEWS.match(line)
        if found and self._live:
            what = next(v for v in found.groups() if v)
            self._spinner.update(text=Text.assemble(title, ("  " + what[:90], "dim")))

    def say(self, line: str) -> None:
        self.console.print(f"  [dim]{line}[/]")

    def run(self, title: str, argv: Sequence[str], log: Path, *, timeout: float) -> str:
        """Run a command with its output in ``log`` and its news on the screen; returns the output."""
        log.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout
        lines: list[str] = []
        with (
            log.open("w") as file,
            subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, "PYTHONUNBUFFERED": "1", "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"},
            ) as process,
        ):
            if process.stdout is None:
                raise StepFailedError(f"{title}: no output to read")
            for raw in process.stdout:
                line = _ANSI.sub("", raw.rstrip("\n"))
                lines.append(line)
                file.write(line + "\n")
                file.flush()
                self.news(title, line)
                if time.monotonic() > deadline:
                    process.terminate()
                    raise StepFailedError(f"{title}: not finished after {timeout:.0f} s; the output so far is in {log}")
            code = process.wait()
        if code != 0:
            tail = "\n".join(lines[-TAIL_LINES:])
            raise StepFailedError(f"{title}: `{' '.join(argv)}` ended with exit code {code}. The end of {log}:\n{tail}")
        return "\n".join(lines)


def fail(message: str) -> None:
    print(f"\ndemo: {message}", file=sys.stderr)
    sys.exit(1)
