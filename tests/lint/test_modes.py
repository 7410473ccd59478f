"""On a hardened host root's umask is 027 or 077: files and directories are made in one place, which does not depend on it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.host_modules import HOST_SIDE, ROOT

PLUGINS = ROOT / "plugins"
PACKAGES = ("_host", "_hardening", "_admin_access", "_agents", "_app", "_proxysql")
ELSEWHERE = {
    "module_utils/_host/files.py": "the one place",
    "module_utils/_host/lock.py": "a lock, for root only",
    "module_utils/_host/logins.py": "a scratch folder, for root only",
    "module_utils/_host/guard.py": "a folder for one session, whose modes are set",
    "module_utils/_host/swap.py": "a swap file, for root only",
    "module_utils/_host/system.py": "files of /proc, which are there",
    "module_utils/_host/aide.py": "a copy in /run, for root only",
    "module_utils/_admin_access/access.py": "a lock, for root only",
    "module_utils/_app/archive.py": "a scratch folder, and an archive in it",
    "module_utils/_app/value_store.py": "files in /run, whose owner, group and mode are set",
    "modules/kernel_settings.py": "files of /proc, which are there",
}
"""File → why it makes files by itself."""
MAKERS = (
    "mkdir",
    "makedirs",
    "mkdtemp",
    "mkstemp",
    "mkfifo",
    "mknod",
    "copy",
    "copy2",
    "copyfile",
    "copytree",
    "NamedTemporaryFile",
)
FILES = [path for name in PACKAGES for path in sorted((PLUGINS / "module_utils" / name).rglob("*.py"))]
FILES += [PLUGINS / f"modules/{name}.py" for name in HOST_SIDE]


def makes_files(text: str) -> list[int]:
    """The lines that make a file or a directory."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if _makes(call)]


def _makes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    if name == "open" and owner == "os":
        return "O_CREAT" in ast.unparse(call)
    if name == "open":
        given = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
        return any(set("wax") & set(ast.unparse(mode).strip("'\"")) for mode in given)
    return owner in ("os", "shutil", "tempfile") and name in MAKERS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_files_on_hosts_are_made_in_one_place(path: Path) -> None:
    name = str(path.relative_to(PLUGINS))
    lines = makes_files(path.read_text())
    assert bool(lines) == (name in ELSEWHERE), f"{name}, lines {lines}: use _host/files.py, or say why not in ELSEWHERE"


def test_what_makes_files_is_found() -> None:
    text = 'os.mkdir("a")\nopen("b")\nio.open("b", "rb")\nio.open("c", mode="ab")\nos.open(p, os.O_RDWR | os.O_CREAT)\nshutil.copy(a, b)\n'
    assert makes_files(text) == [1, 4, 5, 6]
