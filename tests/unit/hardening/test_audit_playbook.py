"""The audit's plays as Ansible runs them, on hosts that nobody reaches."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening import page, report

ROOT = Path(__file__).resolve().parents[3]
HOSTS = "[web]\nweb-1\nweb-2\n[web:vars]\nansible_host=127.0.0.1\nansible_port=1\nfleet_environment=lab\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory to run the audit from, with an inventory and its plays without the check of the account."""
    plays = yaml.safe_load((ROOT / "playbooks/audit.yml").read_text())
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "audit.yml").write_text(yaml.safe_dump([play for play in plays if "hosts" in play]))
    (installed / "vars").symlink_to(ROOT / "playbooks/vars")
    (tmp_path / "inventory").write_text(HOSTS)
    return tmp_path


def run(folder: Path, playbook: str) -> subprocess.CompletedProcess[str]:
    config = (ROOT / "ansible.cfg").read_text().replace("build/collections", str(ROOT / "build/collections"))
    (folder / "ansible.cfg").write_text(config)
    command = [
        Path(sys.executable).parent / "ansible-playbook",
        "-i",
        "inventory",
        "-e",
        "fleet_checked=true",
        playbook,
    ]
    environment = {**os.environ, "ANSIBLE_SSH_RETRIES": "0", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_where_no_host_is_reached_nothing_of_an_earlier_run_passes_for_this_one(folder: Path) -> None:
    reports = folder / "build/hardening/lab"
    facts = report.HostFacts(
        "web-1", datetime.datetime.now(tz=datetime.UTC), audit=True, release="al2", container=False
    )
    green = report.host_report(facts, [], [], [], None) | {"score": 100.0, "summary": {"pass": 1}}
    report.write_host(reports, green)
    report.write_fleet(reports, [green, {**green, "host": "web-2"}])
    assert page.page([green], Counter(green["summary"]), 100.0) == (reports / "web-1.html").read_text()
    done = run(folder, "installed/audit.yml")
    assert done.returncode == 4, done.stdout + done.stderr
    fleet = json.loads((reports / "fleet.json").read_text())
    assert (fleet["missing"], fleet["hosts"], fleet["score"]) == (["web-1", "web-2"], [], None)
    assert "2 of 2 hosts have no results in this run" in (reports / "fleet.html").read_text()
    assert "skipping:" not in done.stdout


def test_a_report_counts_in_the_run_that_wrote_it_however_many_tasks_later_and_not_in_the_next(folder: Path) -> None:
    facts = report.HostFacts(
        "web-1", datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC), audit=True, release="al2", container=False
    )
    report.write_host(folder, report.host_report(facts, [], [], [], None))
    write: dict[str, Any] = {"ecommerce.fleet.hardening_report": {"directory": str(folder), "hosts": ["web-1"]}}
    now = 'sed -i \'s/"when": "[^"]*"/"when": "\'$(date -u +%Y-%m-%dT%H:%M:%S+00:00)\'"/\' web-1.json'
    tasks = [write, {"ansible.builtin.shell": {"cmd": now, "chdir": str(folder)}}, write | {"register": "fleet"}]
    shown = {"ansible.builtin.debug": {"msg": "{{ fleet.hosts }}, then {{ fleet.msg }}"}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [*tasks, shown]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = run(folder, "play.yml")
    assert "['web-1'], then 1 of 1 hosts checked" in done.stdout.replace("''", "'"), done.stdout + done.stderr
    time.sleep(1)  # a run that begins within the second in which another wrote
    (folder / "play.yml").write_text(yaml.safe_dump([{**play, "tasks": [tasks[-1], shown]}]))
    assert "0 of 1 hosts checked" in run(folder, "play.yml").stdout
