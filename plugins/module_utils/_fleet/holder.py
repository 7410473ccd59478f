# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs an operation: this run of ansible-playbook, and whether another one still runs. Control node only."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

PROC = Path("/proc")


def this_run() -> dict[str, Any]:
    """``{name, node, pid, started}`` of the ansible-playbook that this process belongs to; the same at every call of one run.

    Called in Ansible's own process or one of its workers. ``node`` differs for every boot and every container, where process ids differ.
    """
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent and parent.pid else os.getpid()
    return {"name": f"{_user()}@{socket.gethostname()}", "node": _node(), "pid": pid, "started": started(pid)}


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks since its start; empty if it is gone, or where there is no /proc."""
    try:
        # The name in parentheses may have spaces; the state, a Z for one that has ended, is the first field after it.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def runs(holder: dict[str, Any]) -> bool:
    """Whether a holder on this node still runs."""
    if PROC.joinpath("self").exists():
        return bool(holder["started"]) and started(holder["pid"]) == holder["started"]
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an account
        return str(os.getuid())


def _node() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append((PROC / "sys/kernel/random/boot_id").read_text().strip())
        parts.append(str((PROC / "self/ns/pid").readlink()))
    except OSError:
        pass  # no /proc: the name has to do
    return " ".join(parts)
