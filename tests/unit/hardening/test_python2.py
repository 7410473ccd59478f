"""The engine by itself under Pythons that happen to be here; tests/lab/test_host_modules.py runs the module on hosts, under 2.7 too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.pythons import host_library, interpreter

SCRIPT = """
import io, json, os, sys
sys.path.insert(0, sys.argv[1])
from module_utils._hardening.engine import evaluate
from module_utils._hardening.host import Host
from module_utils._host.system import System
system = System(sys.argv[2])
controls = json.load(io.open(sys.argv[3], encoding="utf-8"))
answers = [evaluate(controls, Host(system, {}, "al2", False), enforce, {}) for enforce in (False, True, True)]
print(json.dumps([[item["status"] for item in answer] for answer in answers]))
"""


@pytest.mark.parametrize("python", ["2.7", "3.6", "3.7"])
def test_the_engine_runs_under_the_hosts_python(python: str, tmp_path: Path) -> None:
    program = interpreter(python)
    if program is None:
        pytest.skip(f"there is no Python {python}")
    host_library(tmp_path / "lib")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tmp_path / "etc/f").write_text("x")
    (tmp_path / "etc/f").chmod(0o666)
    (tmp_path / "etc/login.defs").write_text("PASS_MAX_DAYS\t99999\n")
    controls = [
        {"id": "a", "type": "file", "state": {"path": "/etc/f", "mode": "0600"}},
        {
            "id": "b",
            "type": "file",
            "state": {"path": "/etc/issue", "content": "Zutritt für Befugte\n", "mode": "0644"},
        },
        {
            "id": "c",
            "type": "setting",
            "state": {"files": "/etc/login.defs", "key": "PASS_MAX_DAYS", "value": 365, "separator": " "},
        },
        {"id": "d", "type": "kernel_module", "state": {"name": "udf"}},
    ]
    (tmp_path / "controls.json").write_text(json.dumps(controls))
    argv = [
        program,
        "-B",
        "-c",
        SCRIPT,
        str(tmp_path / "lib"),
        str(tmp_path),
        str(tmp_path / "controls.json"),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["fail"] * 4, ["changed"] * 4, ["pass"] * 4]
