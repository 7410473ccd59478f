"""proxysql.cnf: the part of libconfig's grammar that it uses (groups, lists, integers, booleans, strings, comments)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

TOKEN = re.compile(
    r'(?P<space>\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\])*")|(?P<number>-?\d+)(?![\w.])'
    r"|(?P<name>[A-Za-z*][\w*-]*)|(?P<mark>[={}():;,])",
    re.DOTALL,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


class ConfigError(Exception):
    """The file can't be read or parsed; the message is what the program prints."""


class Parser:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.tokens = self._scan()
        self.at = 0

    def settings(self) -> dict[str, Any]:
        return self._settings("end")

    def _scan(self) -> list[tuple[str, str, int]]:
        tokens, place, line = [], 0, 1
        while place < len(self.text):
            match = TOKEN.match(self.text, place)
            if match is None:
                raise ConfigError(f"Parse error at {self.file}:{line} - syntax error")
            if match.lastgroup != "space":
                tokens.append((str(match.lastgroup), match.group(), line))
            line += match.group().count("\n")
            place = match.end()
        return [*tokens, ("end", "end", line)]

    def _take(self, *expected: str) -> str:
        kind, text, line = self.tokens[self.at]
        if kind not in expected and text not in expected:
            raise ConfigError(f"Parse error at {self.file}:{line} - syntax error")
        self.at += 1
        return text

    def _peek(self) -> str:
        return self.tokens[self.at][1]

    def _settings(self, end: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != end:
            line = self.tokens[self.at][2]
            name = self._take("name")
            self._take("=", ":")
            if name in found:
                raise ConfigError(f"Parse error at {self.file}:{line} - duplicate setting name")
            found[name] = self._value()
            if self._peek() in (";", ","):
                self.at += 1
        self.at += end != "end"
        return found

    def _value(self) -> Any:
        text = self._take("string", "number", "name", "{", "(")
        if text == "{":
            return self._settings("}")
        if text == "(":
            return self._list()
        if text.startswith('"'):
            return re.sub(r"\\(.)", lambda match: ESCAPES.get(match.group(1), match.group(1)), text[1:-1])
        if text.lower() in ("true", "false"):
            return text.lower()
        if re.fullmatch(r"-?\d+", text):
            return int(text)
        raise ConfigError(f"Parse error at {self.file}:{self.tokens[self.at - 1][2]} - syntax error")

    def _list(self) -> list[Any]:
        found = []
        while self._peek() != ")":
            found.append(self._value())
            if self._peek() != ")":
                self._take(",")
        self.at += 1
        return found


def read(file: str) -> dict[str, Any]:
    """The settings of a file. Raises ConfigError."""
    try:
        return Parser(Path(file).read_text(), file).settings()
    except OSError as error:
        raise ConfigError(f"I/O error while reading file. {error.strerror}: {file}") from error
