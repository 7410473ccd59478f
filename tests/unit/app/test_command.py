"""A command line: its words are those that a shell makes of its quotes; what would arrive otherwise is refused by its character."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._app.command import violations, words
from hypothesis import given, settings
from hypothesis import strategies as st

WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
PIECES = st.lists(st.sampled_from(list("ab $%;'\"\\#=-\n\t\u00e9")) | WORD, max_size=12).map("".join)
PROGRAM = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]


@settings(max_examples=60)
@given(st.lists(WORD, max_size=6))
def test_words_in_a_shells_quotes_arrive_as_they_were(argv: list[str]) -> None:
    command = shlex.join([*PROGRAM, *argv])
    assert list(violations("x", command)) == []
    script = "exec " + shlex.join(words(command))
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=20, check=True)
    assert json.loads(done.stdout) == argv


@given(PIECES)
def test_what_is_accepted_has_only_quotes_taken_away(command: str) -> None:
    if list(violations("x", command)) or not command:
        return
    for character in "$%;#=-&|*~":
        assert "".join(words(command)).count(character) == command.count(character)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("/bin/x it's", "x has a quote (') without its other half"),
        ('/bin/x "a', 'x has a quote (") without its other half'),
        ("/bin/x C:\\temp", "x has a backslash"),
        ("/bin/x a\\ b", "x has a backslash"),
        ('/bin/x "\\$HOME"', "x has a backslash"),
        ("/bin/x \\\n  --more", "x has a backslash"),
        ("   ", "x is blank"),
        ("''", "x begins with ''"),
        ("-x", "x begins with '-x'"),
        ("NODE_ENV=production node server.js", "x begins with 'NODE_ENV=production', which is no program"),
        ("/bin/x a\0b", "x has a character that no command line can have"),
        ("/bin/x \ud800", "x has a character that no command line can have"),
    ],
)
def test_what_would_arrive_otherwise_is_refused_by_its_character(command: str, message: str) -> None:
    assert [sentence for sentence in violations("x", command) if message in sentence]


def test_no_command_is_needed() -> None:
    assert list(violations("x", "")) == []
