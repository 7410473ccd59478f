"""Rules for every file, whatever its language."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.tree import ROOT, files, run, texts

MAX_LINES = 400
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PUBLIC_SOURCES = {
    "pypi.org",
    "files.pythonhosted.org",
    "deb.debian.org",
    "security.debian.org",
    "proxy.golang.org",
    "sum.golang.org",
}
SOURCE_SETTINGS = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d",
    "/etc/pip.conf",
    "~/.config/pip/pip.conf",
    "~/.pip/pip.conf",
    "~/.npmrc",
)


def test_no_source_file_is_longer_than_a_person_reads() -> None:
    long = {
        str(path): text.count("\n")
        for path, text in texts()
        if path.suffix in {".py", ".yml", ".sh"} and text.count("\n") > MAX_LINES
    }
    assert long == {}


@pytest.mark.parametrize("lock", [path.name for path in LOCKS])
def test_a_lock_file_pins_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert [
        line
        for line in lines
        if "://" in line or re.match(r"\s*(-i|--(extra-)?index-url|--find-links|--trusted-host)\b", line)
    ] == []
    entries = re.split(r"\n(?=\S)", "\n".join(lines))
    assert [
        entry.split()[0]
        for entry in entries
        if not re.match(r"[\w.\-\[\]]+==\S+", entry) or "--hash=sha256:" not in entry
    ] == []


def test_no_file_holds_the_path_of_this_checkout() -> None:
    if len(ROOT.parts) < 3:
        pytest.skip("the checkout lies directly under /; its name says nothing")
    place = re.compile(rf"{re.escape(str(ROOT))}(?![\w-])")
    assert [str(path) for path, text in texts() if place.search(text)] == []


def package_hosts() -> set[str]:
    """The hosts that this machine takes packages from, less the public ones."""
    found = set()
    settings = [Path(name).expanduser() for name in SOURCE_SETTINGS]
    settings += [file for folder in settings if folder.is_dir() for file in folder.iterdir()]
    said = [file.read_text(errors="replace") for file in settings if file.is_file()]
    said += [
        run(*command).stdout for command in (["pip", "config", "list"], ["sh", "-c", "go env GOPROXY 2>/dev/null; env"])
    ]
    for url in re.findall(r"https?://[^\s'\"\]|,]+", "\n".join(said)):
        host = urlsplit(url).hostname or ""
        if (
            "." in host
            and host not in PUBLIC_SOURCES
            and not re.fullmatch(r"(?:\d+\.){3}\d+|.*(?:github|amazonaws|debian|ubuntu)\.(?:com|org)", host)
        ):
            found.add(host)
    return found


def test_no_file_names_a_host_that_this_machine_takes_packages_from() -> None:
    hosts = package_hosts()
    assert [(str(path), host) for path, text in texts() for host in hosts if host in text] == []


def test_nothing_that_is_made_is_committed() -> None:
    made = re.compile(r"(^|/)(build|__pycache__|\.venv[^/]*|\.(mypy|ruff|pytest)_cache)/|\.(pyc|retry|tar\.gz|rpm)$")
    assert [str(path) for path in files() if made.search(str(path))] == []


def test_no_file_has_a_conflict_or_trailing_spaces() -> None:
    wrong = re.compile(r"^(<{7} |>{7} |={7}$)|[ \t]+$", re.MULTILINE)
    kinds = {".py", ".yml", ".yaml", ".md", ".toml", ".cfg", ".sh", ".j2", ".hcl"}
    assert [str(path) for path, text in texts() if path.suffix in kinds and wrong.search(text)] == []


def test_tests_import_helpers_from_tests_support_and_nothing_from_each_other() -> None:
    """Absolute imports of `tests.support`, so that any test module can move, and runs alone."""
    allowed = ("tests.support", "tests.benchmarks")
    wrong = []
    for path, text in texts():
        if path.suffix != ".py" or path.parts[0] not in ("tests", "molecule"):
            continue
        for node in ast.walk(ast.parse(text)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            relative = isinstance(node, ast.ImportFrom) and node.level > 0
            if relative or any(n.split(".")[0] in ("tests", "conftest") and not n.startswith(allowed) for n in names):
                wrong.append(f"{path}:{node.lineno}")  # type: ignore[attr-defined]
    assert wrong == []
