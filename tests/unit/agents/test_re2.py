"""What Go compiles as a regular expression, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._agents import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROGRAM = """package main

import (
\t"bufio"
\t"encoding/json"
\t"fmt"
\t"os"
\t"regexp"
)

func main() {
\tlines := bufio.NewScanner(os.Stdin)
\tfor lines.Scan() {
\t\tvar pattern string
\t\t_ = json.Unmarshal(lines.Bytes(), &pattern)
\t\t_, err := regexp.Compile(pattern)
\t\tfmt.Println(err == nil)
\t}
}
"""
# ruff: noqa: SIM905 - a list of parts reads better as one text
PARTS = r"""
a b - ^ $ . | ( ) (?: (?i) (?i: (?-s) (?= (?! (?<= (?<n> (?P<n> (?P<m> (?P=n) (?# (?> [ ] [^ a-z z-a [:alpha:] [:^digit:] [:foo:]
* + ? *? ** *+ {2} {2,} {2,3} {3,2} {,3} {1000} {1001} {40} {0} {02} { } : \ \d \S \b \z \Z \A \G \1 \12 \0 \8 \x41 \x4 \x{10FFFF}
\x{110000} \pL \pX \p{Greek} \p{^Lu} \p{Foo} \Q \E \C \e \K \_ \- \. é \é
""".split()


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"^\S", r"^\d{4}-\d\d-\d\d", r"^(INFO|WARN)\b", r"\Q[\E*", r"(?P<n>a)+?", r"\pL{2,}"),
        *("]", "{", "a{,3}", r"[]a]", r"[^]-]", r"[[:alpha:]_]", ""),
    ],
)
def test_what_go_compiles_has_no_error(pattern: str) -> None:
    assert re2.error(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[", "missing closing ]: `[`"),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected )"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|+", "missing argument to repetition operator: `+`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a++", "invalid nested repetition operator: `++`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("(a{40}){40}", "invalid repeat count: `{40}`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"a\Z", r"invalid escape sequence: `\Z`"),
        ("a\\", "trailing backslash at end of expression"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=a`"),
        ("(?<!a)b", "invalid or unsupported Perl syntax: `(?<!`"),
        ("(?P<n>a)(?P<n>b)", "duplicate capture group name: `n`"),
        ("(" * 300 + ")" * 300, "expression nests too deeply"),
    ],
)
def test_what_go_refuses_is_refused_with_the_reason(pattern: str, reason: str) -> None:
    assert re2.error(pattern) == reason


@given(pattern=st.lists(st.sampled_from(PARTS) | st.text(max_size=2), max_size=10).map("".join))
def test_any_text_has_an_answer(pattern: str) -> None:
    assert isinstance(re2.error(pattern), str)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_quoted_text_compiles(text: str) -> None:
    assert re2.error("\\Q" + text.replace("\\E", "")) == ""


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bool]:
    """Whether Go itself compiles a pattern."""
    if shutil.which("go") is None:
        pytest.skip("there is no Go on PATH")
    folder: Path = tmp_path_factory.mktemp("re2")
    (folder / "main.go").write_text(PROGRAM)
    (folder / "go.mod").write_text("module re2\n\ngo 1.18\n")
    built = subprocess.run(["go", "build", "-o", "re2", "."], cwd=folder, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"go build: {built.stderr}")
    process = subprocess.Popen([folder / "re2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(pattern: str) -> bool:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(pattern) + "\n")
        return process.stdout.readline() == "true\n"

    return ask


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
@given(pattern=st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_go_itself_says_the_same(go: Callable[[str], bool], pattern: str) -> None:
    assert go(pattern) == (re2.error(pattern) == "")
