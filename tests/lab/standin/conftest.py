"""What the tests of the stand-in SSM agent share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import ssm_agent


@pytest.fixture(scope="module")
def agent() -> Iterator[ModuleType]:
    """The agent's package, as its programs import it."""
    with ssm_agent.imported() as package:
        yield package


@pytest.fixture
def host(agent: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssm_agent.Host:
    """Its `sh` is bash, as on Amazon Linux: that one becomes the script, so that a signal ends the process that the agent waits for."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to("/bin/bash")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return ssm_agent.Host(agent, tmp_path)
