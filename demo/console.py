"""What a person sees while the demo runs: one line a step, and what the step is doing right now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
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
_NEWS = re.compile(
    r"^(?: *[\w.-]+: )?TASK \[(?P<task>[^\]]+)\]|^==> \S+ (?P<packer>.+)|^lab +[\d.]+ s +(?P<lab>.+)|^setup: (?P<setup>.+)"
)


class StepFailedError(Exception):
    """A step's command failed; the message has the command, the end of its output and where all of it is."""


class Screen:
    """Steps on the terminal; plain lines where there is no terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.seconds: dict[str, float] = {}
        self.spans: list[tuple[str, float, float]] = []
        self._spinner = Spinner("dots")
        self._title, self._news, self._begun = "", "", 0.0

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """A step of the demo; its duration goes into ``seconds`` and its begin and end (Unix time) into ``spans``."""
        begin = time.time()
        self._title, self._news, self._begun = title, "", time.monotonic()
        if self.console.is_terminal:
            with Live(console=self.console, transient=True, refresh_per_second=8, get_renderable=self.now):
                yield
        else:
            self.console.print(f"… {title}")
            yield
        end = time.time()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + end - begin, 1)
        self.spans.append((name, begin, end))
        self.console.print(f"[green]✓[/] {title} [dim]{end - begin:.1f} s[/]")

    def now(self) -> Spinner:
        """The step, for how long it has been going on, and what it does. Drawn anew all the time: a silent step is seen to go on."""
        text = f"  {time.monotonic() - self._begun:.0f} s  {self._news}"
        self._spinner.update(text=Text.assemble(self._title, (text, "dim"), no_wrap=True, overflow="ellipsis"))
        return self._spinner

    def news(self, line: str) -> None:
        """Take note of a line of a command's output that says what is going on."""
        found = _NEWS.match(line)
        if found:
            self._news = next(value for value in found.groups() if value)

    def say(self, line: str) -> None:
        self.console.print(f"  [dim]{line}[/]")

    def run(self, title: str, argv: Sequence[str], log: Path, *, timeout: float) -> str:
        """Run a command with its output in ``log`` and its news on the screen; returns the output."""
        log.parent.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        late = threading.Event()

        def expire(process: subprocess.Popen[str]) -> None:
            late.set()
            process.terminate()

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
            # It may say nothing for as long, so that no line of it would be waited for.
            timer = threading.Timer(timeout, expire, [process])
            timer.daemon = True
            timer.start()
            for raw in process.stdout:
                line = _ANSI.sub("", raw.rstrip("\n"))
                lines.append(line)
                file.write(line + "\n")
                file.flush()
                self.news(line)
            code = process.wait()
            timer.cancel()
        if late.is_set():
            raise StepFailedError(f"{title}: not finished after {timeout:.0f} s; the output so far is in {log}")
        if code != 0:
            tail = "\n".join(lines[-TAIL_LINES:])
            raise StepFailedError(f"{title}: `{' '.join(argv)}` ended with exit code {code}. The end of {log}:\n{tail}")
        return "\n".join(lines)


def fail(message: str) -> None:
    print(f"\ndemo: {message}", file=sys.stderr)
    sys.exit(1)
