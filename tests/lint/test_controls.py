"""The rendered register is what the register says."""

from __future__ import annotations

import sys

from tests.lint.tree import output, run


def test_the_rendered_register_is_up_to_date() -> None:
    done = run(sys.executable, "scripts/controls.py", "--check")
    assert done.returncode == 0, output(done)
