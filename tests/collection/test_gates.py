"""What the ecosystem's own programs say of the built collection: ansible-test sanity and the Galaxy server's importer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sanity import VENVS, build, sanity, unpack


@pytest.mark.slow
@pytest.mark.parametrize("core", VENVS)
def test_ansible_test_sanity_has_no_error(core: str) -> None:
    done = sanity(core, [])
    errors = [line for line in done.stdout.splitlines() if line.startswith(("ERROR", "FATAL"))]
    assert (done.returncode, errors) == (0, []), done.stdout[-6000:]


def test_nothing_is_ignored(tmp_path: Path) -> None:
    """The importer warns of each file of ignored errors."""
    collection = unpack(build(tmp_path / "archive"), tmp_path / "unpacked", VENVS["2.16"])
    assert list(collection.rglob("ignore-*.txt")) == []


def test_the_galaxy_importer_has_no_error_and_no_warning(tmp_path: Path) -> None:
    archive = build(tmp_path)
    # ansible-lint runs on the tree with our own, stricter settings (tests/lint/test_tools.py).
    settings = {
        "RUN_ANSIBLE_DOC": "true",
        "CHECK_CHANGELOG": "true",
        "RUN_ANSIBLE_LINT": "false",
        "RUN_FLAKE8": "false",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment = {
        **kept,
        **{f"GALAXY_IMPORTER_{key}": value for key, value in settings.items()},
        "HOME": str(tmp_path),
        "PATH": f"{VENVS['2.16'] / 'bin'}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "galaxy_importer.main", str(archive)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0 and "Importer processing completed successfully" in done.stdout, done.stdout[-4000:]
    assert re.findall(r"^(?:ERROR|WARNING|CRITICAL).*", done.stdout, re.MULTILINE) == []
