"""A host made of a temporary directory: real files, processes answered by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.hardening.host import Host
from plugins.module_utils.hardening.system import Completed, System

Answer = Callable[[Sequence[str], str | None], Completed | None]


class Machine:
    """``files`` are written under the directory; ``answers`` maps a command's beginning to (code, output) or to a function."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.system = System(str(root), runner=self._run)

    def host(
        self, release: str = "al2023", in_use: dict[str, list[Any]] | None = None, container: bool = False
    ) -> Host:
        return Host(self.system, in_use, release, container)

    def put(self, path: str, text: str, mode: int = 0o644) -> Path:
        real = self.root / path.lstrip("/")
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text)
        real.chmod(mode)
        return real

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def _run(self, argv: list[str], timeout: float = 30.0, stdin: str | None = None) -> Completed:
        command = " ".join(argv)
        self.asked.append(command)
        known = [name for name in self.answers if command.startswith(name)]
        if not known:
            return Completed(argv, 127, "", f"{argv[0]}: not there")
        answer = self.answers[max(known, key=len)]
        code, out = answer(argv, stdin) if callable(answer) else answer
        return Completed(argv, code, out if code == 0 else "", "" if code == 0 else out)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
