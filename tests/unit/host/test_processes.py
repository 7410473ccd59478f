from __future__ import annotations

import os
import time
from pathlib import Path

from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import run


def test_a_process_that_hangs_is_killed() -> None:
    start = time.monotonic()
    done = run(["sleep", "30"], timeout=0.2)
    assert done.code == 124
    assert time.monotonic() - start < 5


def test_a_missing_program_is_code_127() -> None:
    assert run(["no-such-program"]).code == 127


def test_what_a_process_makes_does_not_depend_on_the_hosts_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        done = run(["sh", "-c", 'umask; : >"$0/file"', str(tmp_path)])
        assert os.umask(0o077) == 0o077, "our own stays"
        assert run(["no-such-program"]).code == 127 and os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert done.out.strip() == "0022"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
