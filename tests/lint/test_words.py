"""The words of docs/glossary.md are used, and those that they replace are not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.words import REPLACED

ROOT = Path(__file__).parents[2]
WITH_THE_WORDS = ("docs/glossary.md", "tests/support/words.py")
"""They name the words to forbid them."""
OTHERS_TEXT = ("changelogs/", "requirements/", "tools/packer/", "LICENSE", "docs/controls.md")
"""History, lock files, and what is rendered from files that are looked at themselves."""
RIGHT_THERE = {"violations or errors": ("inspector", "Inspector", "_agents/evidence.py", "agents/test_evidence.py")}
"""What to say → parts of a path or of a line where the other word is right: findings are what Amazon Inspector calls them."""


def lines(name: str) -> list[str]:
    try:
        return (ROOT / name).read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return []  # a picture, a link to a directory


def texts() -> dict[str, list[str]]:
    """The lines of every file of the repository that is written by hand."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return {
        name: lines(name)
        for name in done.stdout.splitlines()
        if name not in WITH_THE_WORDS and not name.startswith(OTHERS_TEXT)
    }


@pytest.mark.parametrize("say", REPLACED)
def test_the_words_of_the_field_are_used(say: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:140]}"
        for name, text in texts().items()
        for number, line in enumerate(text, 1)
        if REPLACED[say].search(line) and not any(part in f"{name} {line}" for part in RIGHT_THERE.get(say, ()))
    ]
    assert not found, f"say {say}, as docs/glossary.md does:\n" + "\n".join(found)


def test_the_glossary_has_the_words_that_are_used_instead() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text()
    words = ("compliant", "remediate", "access path", "scanner", "leftovers", "AIDE database", "violation", "Standby")
    assert [word for word in words if f"| {word}" not in glossary and f", {word}" not in glossary] == []
