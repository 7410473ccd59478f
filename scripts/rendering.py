"""What the scripts that render a page of docs/ from the project's own data share."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path


def row(cells: Iterable[str]) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |\n"


def write_or_check(target: Path, text: str) -> int:
    """Writes the page; with ``--check`` only says whether it is up to date. Returns the exit code."""
    if "--check" not in sys.argv:
        target.write_text(text)
    elif not target.exists() or target.read_text() != text:
        print(f"docs/{target.name} is out of date: run python {sys.argv[0]}", file=sys.stderr)
        return 1
    return 0
