"""Killed and run again, on the other release; and nothing is left at the end."""

from __future__ import annotations

import json
import sys

import pytest

from demo.flow import changed
from tests.e2e.conftest import LAB, ROOT, Fleet, kill, run, start, wait_for_line

pytestmark = pytest.mark.e2e


def test_killed_in_the_middle_and_run_again_the_demo_works_on_amazon_linux_2023(fleet: Fleet) -> None:
    first = start(sys.executable, "-m", "demo", "--os", "al2023")
    wait_for_line(first, "Bake the web image", 300)
    kill(first)
    done = run(sys.executable, "-m", "demo", "--os", "al2023", timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((ROOT / "build" / "demo" / "summary.json").read_text())
    assert (summary["os"], summary["hosts"], summary["second_run_changed"], summary["requests_failed"]) == (
        "al2023",
        3,
        0,
        0,
    )


def test_the_current_ansible_core_finds_amazon_linux_2023_as_the_other_core_left_it() -> None:
    lab = str(ROOT / ".venv-current" / "bin" / "lab")
    assert "core 2.16" not in run(lab, "run", "ansible", "--version").stdout
    done = run(lab, "run", "ansible-playbook", "-i", "inventory/lab", "playbooks/site.yml", "-e", "fleet_os=al2023")
    assert done.returncode == 0, done.stdout[-3000:]
    assert changed(done.stdout) == 0


def test_down_leaves_no_process_namespace_mount_or_file_behind() -> None:
    done = run(LAB, "down", timeout=120)
    assert done.returncode == 0, done.stderr
    assert "fleet-e2e" not in run("ip", "netns", "list").stdout
    assert "ecommerce-fleet/e2e" not in run("cat", "/proc/mounts").stdout
    assert "ecommerce-fleet/e2e" not in run("ps", "-eo", "args").stdout
    assert run("ls", "-d", "/var/lib/ecommerce-fleet/e2e").returncode != 0
