"""Environment variables: a process gets each value as it was written, or the variable is refused by its name."""

from __future__ import annotations

import datetime
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.environment import taken, unfit
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.sources import ValuesError, collect
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._app.values import environment_file, violations
from hypothesis import given
from hypothesis import strategies as st

GOOD: dict[str, Any] = {
    "artifact_url": "s3://artifacts/shop.tar.gz", "artifact_sha256": "0" * 64, "version": "1.0.0", "name": "shop",
    "instances": 2, "port_base": 3000, "os_release": "2023", "kind": "nodejs", "runtime": {},
    "command": "", "parameters_path": "", "secrets": [], "redis": {}, "mysql": {}, "environment": {}, "rotation_interval_seconds": 300,
    "rotation_delay_seconds": 0, "python_application": "app:app", "release_parameter": "", "release_wait_seconds": 60,
    "health_path": "", "version_path": "/version",
}  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


def read(text: str) -> dict[str, str]:
    """As a shell reads the file: the same quoting as systemd's, but for line breaks, which no value has."""
    done = subprocess.run(["sh", "-c", "set -a; . /dev/stdin; exec env -0"], input=text.encode(), env={"PATH": "/usr/bin:/bin"},
                          stdout=subprocess.PIPE, timeout=20, check=True)  # fmt: skip
    return dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Za-z0-9_]{2,12}_", fullmatch=True), TEXT, max_size=3))
def test_a_text_without_violation_is_read_as_it_was_written(environment: dict[str, str]) -> None:
    if violations({**GOOD, "environment": environment}):
        return
    found = read(environment_file(environment))
    assert {name: found[name] for name in environment} == {
        name: text.rstrip("\r\n") for name, text in environment.items()
    }


@given(TEXT)
def test_what_systemd_drops_is_a_violation_and_the_value_is_not_repeated(text: str) -> None:
    value = text.rstrip("\r\n")
    controls = [c for c in value if unicodedata.category(c) == "Cc" and c < "\x80" and c != "\t"]
    nothing = [c for c in value if unicodedata.category(c) == "Cn" and (ord(c) & 0xFFFE == 0xFFFE
               or "\ufdd0" <= c <= "\ufdef")]  # fmt: skip
    found = violations({**GOOD, "environment": {"KEY": text}})
    assert bool(unfit(value)) == bool(controls + nothing)
    assert bool(found) == bool(unfit(value)), found


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (1, "1"), (0.5, "0.5"), ("True", "True"), ("", ""), ("a\n", "a"), ("null", "null"),
     (10**20, "1" + "0" * 20)],
)  # fmt: skip
def test_yamls_words_arrive_as_yaml_writes_them(value: Any, text: str) -> None:
    assert violations({**GOOD, "environment": {"NEW_CART": value}}) == []
    assert environment_file({"NEW_CART": value}) == f'NEW_CART="{text}"\n'


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"A": None}, "app_runtime_environment.A is null; it takes a text"),
        ({"A": []}, "app_runtime_environment.A is a list"),
        ({"A": {"b": 1}}, "app_runtime_environment.A is a dict"),
        ({"A": datetime.date(2026, 1, 2)}, "app_runtime_environment.A is a date"),
        ({"A": float("nan")}, "app_runtime_environment.A is nan"),
        ({"A": "one\ntwo"}, "app_runtime_environment.A has a line break"),
        ({"A": "one\x1btwo"}, "app_runtime_environment.A has the character U+001B"),
        ({False: "x"}, "app_runtime_environment has false for a name, as YAML reads it"),
        ({1: "x"}, "app_runtime_environment has 1 for a name"),
        ({"A-B": "x"}, "app_runtime_environment has the name 'A-B'"),
        ({"1A": "x"}, "app_runtime_environment has the name '1A'"),
        ({"A\n": "x"}, "app_runtime_environment has the name 'A\\n'"),
        ({"": "x"}, "app_runtime_environment has the name ''"),
        ({"É": "x"}, "app_runtime_environment has the name 'É'"),
        ({"PORT": "x"}, "app_runtime_environment.PORT is set by the unit"),
        ({"RANDOM": "x"}, "app_runtime_environment.RANDOM is set by the shell"),
        ({"BASH_X": "x"}, "app_runtime_environment.BASH_X is set by the shell"),
    ],
)
def test_what_no_process_would_get_is_refused_by_its_name(environment: dict[Any, Any], message: str) -> None:
    found = violations({**GOOD, "environment": environment})
    assert any(message in sentence for sentence in found), found


@pytest.mark.parametrize(
    "name", ["http_proxy", "npm_config_x", "_X", "PATH", "HOME", "NODE_OPTIONS", "JDK_JAVA_OPTIONS", "BASE_URL"]
)
def test_usual_names_are_taken_by_nobody(name: str) -> None:
    assert violations({**GOOD, "environment": {name: "x"}}) == []


@pytest.mark.parametrize(("key", "value"), [("name", None), ("user", True), ("name", "a\nb"), ("host", None)])
def test_the_database_has_no_yaml_word_for_a_name(key: str, value: Any) -> None:
    assert any(f"app_runtime_mysql.{key} is not a text" in each for each in violations({**GOOD, "mysql": {key: value}}))


def test_the_shell_sets_what_we_say_it_sets() -> None:
    """bash as /bin/sh: a variable that does not reach what it executes is one that we refuse."""
    names = ["SHLVL", "PWD", "OLDPWD", "PPID", "SHELLOPTS", "BASHOPTS", "BASH", "BASH_VERSION", "RANDOM", "LINENO", "OPTIND", "OPTERR",
             "IFS", "PS1", "PS4", "EPOCHSECONDS", "LANG", "TERM", "MAIL", "TMPDIR", "HOSTNAME", "ENV", "TZ", "NODE_ENV"]  # fmt: skip
    lost = set()
    for name in names:
        argv = ["bash", "--posix", "-c", "exec env -0"]
        out = subprocess.run(
            argv, env={"PATH": "/usr/bin:/bin", name: "a value"}, capture_output=True, timeout=20, check=False
        ).stdout
        if f"{name}=a value" not in out.decode().split("\0"):
            lost.add(name)
    assert {name for name in names if taken(name)} == lost


class Aws:
    """Parameter Store and Secrets Manager with these values."""

    region = "us-east-1"

    def __init__(self, value: str) -> None:
        self.value = value

    def call(self, service: str, *_words: str) -> dict[str, Any]:
        if service == "ssm":
            return {"Parameters": [{"Name": "/shop/word", "Value": self.value}]}
        return {"SecretString": self.value}


PARAMETERS: dict[str, Any] = {"parameters_path": "/shop", "secrets": []}
SECRETS: dict[str, Any] = {"parameters_path": "", "secrets": [{"name": "s", "environment": "WORD"}]}


@pytest.mark.parametrize("desired", [PARAMETERS, SECRETS])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_value_that_was_read_from_a_file_comes_without_its_last_line_break(desired: dict[str, Any], end: str) -> None:
    assert collect(desired, Aws("debug" + end)) == ({"WORD": "debug"}, {})


@pytest.mark.parametrize(
    ("desired", "advice"),
    [(PARAMETERS, "keep it in Secrets Manager and name it in app_runtime_secrets with file"),
     (SECRETS, "Give it file instead of environment")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("value", "has"), [("a\nb", "a line break"), ("a\x01", "the character U+0001"), ("\x7f", "the character U+007F")]
)
def test_a_value_that_no_variable_can_have_is_refused_with_advice(
    desired: dict[str, Any], advice: str, value: str, has: str
) -> None:
    with pytest.raises(ValuesError) as refusal:
        collect(desired, Aws(value))
    assert f"has {has}, so it can't be the environment variable WORD" in str(refusal.value)
    assert advice in str(refusal.value)


def test_a_secret_file_has_all_its_bytes() -> None:
    desired = {"parameters_path": "", "secrets": [{"name": "s", "file": "key"}]}
    assert collect(desired, Aws("one\ntwo\n")) == ({}, {"key": b"one\ntwo\n"})


def test_the_file_on_the_host_is_the_same_for_fetched_values(tmp_path: Path) -> None:
    text = environment_file({"A": 'a $b `c` "d" \\e'})
    assert text == 'A="a \\$b \\`c\\` \\"d\\" \\\\e"\n'
    (tmp_path / "file").write_text(text)
    assert read(text)["A"] == 'a $b `c` "d" \\e'
