"""Files that even root can't change, as `chattr +i` makes them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def protected(path: Path, attribute: str = "i") -> Iterator[None]:
    """The path has the attribute (`i` or `a`) while the block runs. Skips the test where the file system has no attributes."""
    if subprocess.run(["chattr", f"+{attribute}", path], capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system has no attributes")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{attribute}", path], check=True)
