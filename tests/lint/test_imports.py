"""Which package may import which: the contracts in pyproject.toml, and a proof that they see what breaks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tree import ROOT

UTILS = "ansible_collections.ecommerce.fleet.plugins.module_utils"
FLEET = "ansible_collections/ecommerce/fleet"


def lint_imports(folder: Path, collections: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{collections}:{folder}", "NO_COLOR": "1", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_import_keeps_the_contracts() -> None:
    done = lint_imports(ROOT, ROOT / "build/collections")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python files of the tree, to be broken."""
    folder = tmp_path_factory.mktemp("imports")
    collection = folder / "collections" / FLEET
    only_python = shutil.ignore_patterns("__pycache__", "root", "packages")
    shutil.copytree(ROOT / "plugins", collection / "plugins", ignore=only_python)
    for name in ("lab", "demo", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=only_python)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("file", "imported"),
    [
        ("plugins/module_utils/_host/__init__.py", f"{UTILS}._aws"),
        ("plugins/module_utils/_host/__init__.py", f"{UTILS}._app"),
        ("plugins/module_utils/_hardening/__init__.py", f"{UTILS}._admin_access"),
        ("plugins/module_utils/_admin_access/__init__.py", f"{UTILS}._fleet"),
        ("plugins/module_utils/_aws/__init__.py", "lab"),
        ("lab/cli.py", f"{UTILS}._host"),
        ("lab/network/__init__.py", "lab.machines"),
        ("lab/cloud/ec2/__init__.py", "lab.cloud.ssm"),
    ],
)
def test_an_import_that_breaks_a_contract_is_seen(copied: Path, file: str, imported: str) -> None:
    place = copied / (f"collections/{FLEET}/{file}" if file.startswith("plugins/") else file)
    text = place.read_text()
    try:
        place.write_text(f"{text}\nimport {imported}\n")
        done = lint_imports(copied, copied / "collections")
    finally:
        place.write_text(text)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout and imported in done.stdout
