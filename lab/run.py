"""The only place that starts processes."""

from __future__ import annotations

import os
import shlex
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from lab.errors import LabError

LONGEST_SHOWN = 200
Completed = subprocess.CompletedProcess[str]


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    check: bool = True,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Runs to the end and returns output and exit code. Raises LabError on a failure (if `check`), a timeout, a missing program."""
    args = [str(a) for a in argv]
    shown = _shown(args)
    try:
        done = subprocess.run(
            args,
            timeout=timeout,
            check=False,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            env=env,
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise LabError(f"{args[0]} is not installed (needed for: {shown})", hint="Run `make setup`.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"No end after {timeout:g} s: {shown}") from error
    if check and done.returncode != 0:
        last = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise LabError(f"Exit code {done.returncode} from: {shown}\n  {last}")
    return done


def _shown(args: Sequence[str]) -> str:
    """For messages: a whole script in an argument helps nobody."""
    return textwrap.shorten(shlex.join(args), LONGEST_SHOWN, placeholder=" …")


def spawn(argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Starts a long-running child in a session of its own, without input, its output appended to `log`."""
    args = [str(a) for a in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        try:
            return subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
            )
        except FileNotFoundError as error:
            raise LabError(f"{args[0]} is not installed", hint="Run `make setup`.") from error


def spawn_on(terminal: int, argv: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """Starts a child with a terminal (a file descriptor) as its controlling terminal and its input and output."""
    args = ["setsid", "--ctty", *(str(a) for a in argv)]
    try:
        return subprocess.Popen(args, stdin=terminal, stdout=terminal, stderr=terminal)
    except FileNotFoundError as error:
        raise LabError(f"{args[0]} is not installed", hint="Run `make setup`.") from error


def replace(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Becomes the command: its terminal, its signals and its exit code are the caller's own."""
    try:
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606
    except OSError as error:
        raise LabError(f"Cannot start {argv[0]!r}: {error.strerror}", hint="Is it installed and executable?") from error
