"""The machine of files that every test of this folder may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hardening.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
