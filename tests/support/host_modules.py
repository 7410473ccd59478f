"""Which modules run where. A module that is not listed here runs on the hosts, under Python 2.7 and 3.7+; tests/lab/test_host_modules.py
proves it by the calls in tests/lab/host_modules/<module>.yml."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")
CALLS = ROOT / "tests/lab/host_modules"
"""One file of tasks per module that runs on the hosts."""

CONTROL_SIDE = {
    "check_account": "documents an action plugin",
    "check_connection": "documents an action plugin",
    "check_inputs": "documents an action plugin",
    "check_inventory": "documents an action plugin",
    "fleet_operation": "asks AWS",
    "fleet_ready": "asks AWS",
    "fleet_host_state": "asks AWS",
    "hardening_report": "documents an action plugin",
    "image_candidate": "asks AWS",
    "image_publish": "asks AWS",
    "image_test": "asks AWS",
    "inspector_account": "asks AWS",
    "role_begin": "documents an action plugin",
    "ssm_command": "asks AWS",
    "ssm_document": "asks AWS",
    "ssm_online": "asks AWS",
}
"""Module → why it never runs on a host. They run on the control node's Python."""

HOST_SIDE = [name for name in MODULES if name not in CONTROL_SIDE]
