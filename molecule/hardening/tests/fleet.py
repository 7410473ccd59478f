"""Runs the scenario's playbook on its machines and reads the reports."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import testinfra
import yaml

EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
HOSTS = ("al2", "al2023")
Reports = dict[str, dict[str, dict[str, Any]]]
"""Host → control id → result."""


def harden(*arguments: str, **variables: Any) -> tuple[subprocess.CompletedProcess[str], Reports]:
    """Run converge.yml with more arguments (``--check``) and variables; returns how it ended and the hosts' results."""
    argv = ["ansible-playbook", "-i", INVENTORY, str(PLAYBOOK), "-e", json.dumps(variables), *arguments]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300)
    reports = {}
    for host in HOSTS:
        report = json.loads((EPHEMERAL / "reports" / f"{host}.json").read_text())
        reports[host] = {entry["id"]: entry for entry in report["controls"]}
    return done, reports


def on_machines(pattern: str, module: str, arguments: str) -> str:
    """Run a module of ansible.builtin as root on the machines that match; returns what Ansible printed."""
    argv = ["ansible", "-i", INVENTORY, pattern, "-b", "-m", f"ansible.builtin.{module}", "-a", arguments]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def machine(name: str) -> Any:
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={INVENTORY}", sudo=True)


def instance_id(name: str) -> str:
    entries = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    return str(next(entry["instance_id"] for entry in entries if entry["instance"] == name))


def address(name: str) -> str:
    return str(machine(name).backend.ansible_runner.get_variables(name)["ansible_host"])


def fresh_login(name: str, command: str, *options: str, user: str = "ec2-user") -> subprocess.CompletedProcess[str]:
    """A connection of its own, not the one that Ansible keeps open."""
    words = [word for option in ("ControlPath=none", "BatchMode=yes", f"UserKnownHostsFile={EPHEMERAL}/known_hosts", *options)
             for word in ("-o", option)]  # fmt: skip
    argv = ["ssh", *words, "-i", os.environ["LAB_SSH_KEY"], f"{user}@{address(name)}", command]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
