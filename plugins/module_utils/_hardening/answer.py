# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine answers for a host: to the module, or to whoever ran it without Ansible (``main``)."""

from __future__ import absolute_import, division, print_function

import base64
import json
import pkgutil
import resource
import sys
import zlib

from .._host.errors import HostError
from .._host.system import System
from .engine import STATUSES, evaluate
from .host import Host

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict  # noqa: F401

TASK = "task.json"
"""Beside the engine in a program that runs without Ansible: {controls, excepted, in_use}."""


def answer(system, task, enforce):
    # type: (System, Dict[str, Any], bool) -> Dict[str, Any]
    """Evaluate the controls of the task. Raises HostError where that is not possible at all."""
    host = Host(system, task["in_use"])
    results = evaluate(task["controls"], host, enforce, task["excepted"])
    return {
        "results": results,
        "summary": {status: len([item for item in results if item["status"] == status]) for status in STATUSES},
        "release": host.release,
        "container": host.container,
        "unproven": host.unproven,
        "used": used(),
    }


def used():
    # type: () -> Dict[str, Any]
    """Processor time of this process and of those that it started, and the memory of the largest of them."""
    figures = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in figures), 2),
        "memory_mb": max(one.ru_maxrss for one in figures) // 1024,
    }


def main(system=None):
    # type: (Any) -> None
    """Audit, and print the answer as one line that any channel carries: JSON, compressed, in base64."""
    task = json.loads((pkgutil.get_data(__name__, TASK) or b"").decode("utf-8"))
    try:
        answered = answer(system or System(), task, False)
    except HostError as error:
        answered = {"error": "%s" % error}
    sys.stdout.write(base64.b64encode(zlib.compress(json.dumps(answered).encode("utf-8"), 9)).decode("ascii") + "\n")
