"""A host made of a temporary directory: real files, processes answered by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.host import Host
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import Completed
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

ROOT = "root:x:0:0:root:/root:/sbin/nologin\n"
"""The accounts of a host of which a test says nothing about them."""
Answer = Callable[[Sequence[str], str | None], Completed | None]


class Machine:
    """``files`` are written under the directory; ``answers`` maps a command's beginning to (code, output) or to a function."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.system = System(str(root), runner=self._run)
        self.accounts = ROOT

    def host(
        self, release: str = "al2023", in_use: dict[str, list[Any]] | None = None, container: bool = False
    ) -> Host:
        if self.accounts and not self.system.exists("/etc/passwd"):
            self.put("/etc/passwd", self.accounts)
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
