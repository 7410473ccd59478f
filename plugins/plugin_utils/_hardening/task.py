# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's part of every task about the register, whichever way the engine reaches the host."""

from __future__ import annotations

import base64
import contextlib
import datetime
import functools
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...module_utils._hardening.answer import TASK
from ..host_program import with_imports
from . import report, selection
from .register import Control, RegisterError, load

COLLECTION = Path(__file__).resolve().parents[3]
REGISTER = COLLECTION / "controls"
ENGINE = "_hardening/answer"
"""The module_util that is the engine without Ansible."""
OPTIONS = ("level", "in_use", "exceptions", "overrides", "register_directories")
"""What a task may set about the choice of controls."""


@functools.cache
def own_register() -> list[Control]:
    """The collection's own register."""
    return load([REGISTER])


RUN_BEGAN = datetime.datetime.now(tz=datetime.UTC)
"""When this run of Ansible came to its first task about the register. The main process imports this, and its workers have it from there: a
report that is older is of an earlier run."""

with contextlib.suppress(RegisterError):  # reported when a task needs it
    # Read once in Ansible's main process: the workers that it forks, one for each host, have it then.
    own_register()


@dataclass(frozen=True)
class Task:
    """The controls to evaluate, those that are excepted, and what else the engine has to know."""

    controls: list[Control]
    exempt: list[selection.Exemption]
    overrides: Mapping[str, Any]
    in_use: Mapping[str, Any]

    def for_engine(self) -> dict[str, Any]:
        return {
            "controls": [control.for_host(self.overrides.get(control.id, {})) for control in self.controls],
            "excepted": {exemption.control: exemption.shown for exemption in self.exempt},
            "in_use": dict(self.in_use),
        }

    def write_report(self, folder: Path, name: str, answer: Mapping[str, Any], *, audit: bool) -> dict[str, Any]:
        """Write the host's report to the folder; returns it. Raises OSError."""
        facts = report.HostFacts(
            host=name,
            when=datetime.datetime.now(tz=datetime.UTC),
            audit=audit,
            release=answer["release"],
            container=answer["container"],
            used=answer["used"],
        )
        before = report.previous(folder, name)
        written = report.host_report(facts, self.controls, self.exempt, answer["results"], before)
        report.write_host(folder, written)
        return written


def read(arguments: Mapping[str, Any]) -> Task:
    """The task that these options (OPTIONS) describe. Raises RegisterError for what is wrong in them or in the register."""
    more = [Path(path) for path in arguments.get("register_directories") or []]
    controls = load([REGISTER, *more]) if more else own_register()
    in_use, overrides = arguments.get("in_use") or {}, arguments.get("overrides") or {}
    selection.check_in_use(in_use)
    selection.check_overrides(overrides, controls)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    exempt = selection.exemptions(arguments.get("exceptions") or [], {control.id for control in controls}, today)
    return Task(selection.selected(controls, int(arguments.get("level", 1))), exempt, overrides, in_use)


def program(task: Task) -> str:
    """The engine with its task as one program that needs no Ansible: a zip file that Python 2.7 and 3.7+ run, compressed, in base64."""
    buffer = io.BytesIO()
    # Stored, then compressed as a whole: a third smaller than file by file.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as made:
        for package in ("", "_hardening/", "_hardening/resources/", "_host/"):
            made.writestr(f"fleet/{package}__init__.py", "")
        for name, text in with_imports(ENGINE).items():
            made.writestr(f"fleet/{name}.py", text)
        made.writestr(f"fleet/_hardening/{TASK}", json.dumps(task.for_engine()))
        made.writestr("__main__.py", "from fleet._hardening.answer import main\n\nmain()\n")
    return base64.b64encode(zlib.compress(buffer.getvalue(), 9)).decode("ascii")
