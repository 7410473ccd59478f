"""Every checker that a developer's pre-commit runs, over the whole tree; its own words are the failure's message."""

from __future__ import annotations

import shutil

import pytest

from tests.support.tree import environment, output, run, shell_scripts

TOOLS = {
    "ruff check": ["ruff", "check", "--quiet", "--output-format", "concise", "."],
    "ruff format": ["ruff", "format", "--check", "--quiet", "."],
    "mypy": ["mypy"],
    "yamllint": ["yamllint", "--strict", "--format", "parsable", "."],
    "ansible-lint": ["ansible-lint", "--offline", "--nocolor", "-q", "--format", "pep8"],
    "antsibull-changelog": ["antsibull-changelog", "lint"],
    "pre-commit settings": ["pre-commit", "validate-config"],
    "packer fmt": ["packer", "fmt", "-check", "-diff", "-recursive", "packer"],
}


@pytest.mark.parametrize("name", TOOLS)
def test_the_tree_is_clean_for(name: str) -> None:
    command = TOOLS[name]
    if command[0] == "packer" and shutil.which("packer", path=environment()["PATH"]) is None:
        pytest.skip("there is no packer; scripts/packer makes one")
    done = run(*command)
    assert done.returncode == 0, output(done)


def test_the_tree_is_clean_for_shellcheck() -> None:
    done = run("shellcheck", "--severity=warning", *shell_scripts())
    assert done.returncode == 0, output(done)
