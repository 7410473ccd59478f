"""The files of this repository, as git sees them: committed ones and new ones that are not ignored."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv/bin"


@cache
def files() -> tuple[Path, ...]:
    """Relative paths of regular files, sorted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    return tuple(path for path in sorted(map(Path, filter(None, listed.split("\0")))) if (ROOT / path).is_file())


def texts() -> Iterator[tuple[Path, str]]:
    """Every file that is text, once: links to other files of the tree are left out, as is what went away meanwhile."""
    for path in files():
        if (ROOT / path).is_symlink():
            continue
        try:
            yield path, (ROOT / path).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue


def shell_scripts() -> list[str]:
    """Files that say in their first line that a shell runs them."""
    first_lines = ((path, text.partition("\n")[0]) for path, text in texts())
    return [
        str(path)
        for path, line in first_lines
        if line.startswith("#!") and line.split("/")[-1].split()[-1] in {"sh", "bash"}
    ]


def roles() -> list[str]:
    return sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks/main.yml").is_file())


def environment() -> dict[str, str]:
    """Tools from the virtual environment, plain output, nothing of a user's own Ansible settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return kept | {
        "PATH": f"{BIN}:{ROOT / 'build/bin'}:{os.environ.get('PATH', os.defpath)}",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_INVENTORY": str(ROOT / "tests/support/inventory.yml"),
    }


def run(*command: str, cwd: Path = ROOT, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """A tool that hangs is ended with all that it has started, and fails like one that found something."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"\nended after {timeout:.0f} s"
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def output(done: subprocess.CompletedProcess[str]) -> str:
    """What a failing tool said, for the assertion's message."""
    return f"\n$ {' '.join(map(str, done.args))}\n{done.stdout}{done.stderr}"
