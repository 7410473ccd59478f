# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a service takes changed files, and the proof that it runs with them. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import os
import re
import time

from . import http_probe
from .encoding import LINES, decoded, printable
from .systemd import Unit

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    from .systemd import Run  # noqa: F401

RESTART_SETTLE_SECONDS = 2
OUTPUT_LINES = 20
LOG_TAIL = 1 << 16

OPTIONS = dict(
    service=dict(type="str"),
    state=dict(type="str", choices=["started", "stopped"], default="started"),
    enabled=dict(type="bool"),
    activate=dict(type="list", elements="list", default=[]),
    activate_for=dict(type="list", elements="path", default=[]),
    timeout_seconds=dict(type="float", default=90),
    settle_seconds=dict(type="float"),
    log_path=dict(type="path"),
    error_pattern=dict(type="str"),
    probe=dict(
        type="dict",
        options=dict(
            port=dict(type="int", required=True),
            path=dict(type="str", default="/"),
            contains=dict(type="str", default=""),
            timeout_seconds=dict(type="int", default=10),
            otherwise=dict(type="str", default=""),
        ),
    ),
)
"""The options that Activation takes, for an argument specification."""


class Activation:
    """`options`: values of OPTIONS."""

    def __init__(self, run, options):
        # type: (Run, Dict[str, Any]) -> None
        self.run = run
        self.options = options
        self.unit = Unit(run, options["service"]) if options["service"] else None
        self.log = LogMark(options["log_path"])

    def missing_steps(self):
        # type: () -> List[str]
        """What systemctl has to do for the unit to be in the desired state."""
        options = self.options
        return self.unit.missing_steps(options["enabled"], options["state"] == "started") if self.unit else []

    def is_needed(self, rewritten, steps):
        # type: (List[str], List[str]) -> bool
        """Whether the service does not run, or runs with other files than those that are on disk once `rewritten` ones are."""
        only = self.options["activate_for"]
        if self.options["state"] == "stopped" or not (self.options["activate"] or self.unit):
            return False
        if "start" in steps or [path for path in rewritten if not only or path in only]:
            return True
        return self._probe(0) is not None

    def activate(self, with_probe=True):
        # type: (bool) -> Optional[str]
        """Has the service read its files. Returns None once it runs with them, else a sentence about what is wrong."""
        self.log = LogMark(self.options["log_path"])
        if self.unit:
            self.unit.mark()
        probe_seconds = (self.options["probe"] or {}).get("timeout_seconds", 0) if with_probe else None
        try:
            return self._start() or self._settle() or self._probe(probe_seconds)
        except EnvironmentError as error:  # who called restores what was there before
            return "whether it runs can't be told: %s" % error

    def output(self):
        # type: () -> List[str]
        """What the service printed since its activation: the errors in its log, else the end of its log, else of its journal."""
        try:
            found = self._errors()[:OUTPUT_LINES] or self.log.gained().strip().splitlines()[-OUTPUT_LINES:]
        except EnvironmentError as error:  # who called has something to restore
            found = ["%s" % error]
        return [printable(line, LINES) for line in found] or (self.unit.journal(OUTPUT_LINES) if self.unit else [])

    def hint(self):
        # type: () -> str
        """Where a person reads on."""
        places = ["`journalctl -u %s`" % self.unit.name] if self.unit else []
        places += [self.log.path] if self.log.path else []
        return " See %s." % " and ".join(places) if places else ""

    def _start(self):
        # type: () -> Optional[str]
        for argv in self.options["activate"]:
            code, out, err = self.run(["timeout", "%g" % self.options["timeout_seconds"]] + argv)
            if code != 0:
                return "%s ended with code %s: %s" % (
                    " ".join(argv),
                    code,
                    printable((err or out).strip(), LINES) or "no output",
                )
        return self.unit.do("restart") if self.unit and not self.options["activate"] else None

    def _settle(self):
        # type: () -> Optional[str]
        seconds = self.options["settle_seconds"]
        if not self.unit or (seconds is None and self.options["activate"]):
            return None
        settle = RESTART_SETTLE_SECONDS if seconds is None else seconds
        return self.unit.settle(settle, self.options["timeout_seconds"], self._violation)

    def _violation(self):
        # type: () -> Optional[str]
        return "it runs but its log has errors" if self._errors() else None

    def _errors(self):
        # type: () -> List[str]
        pattern = self.options["error_pattern"]
        return [line for line in self.log.gained().splitlines() if re.search(pattern, line)] if pattern else []

    def _probe(self, seconds):
        # type: (Optional[float]) -> Optional[str]
        """Returns None if the service answers as it should within the time, or is not to be asked, else a sentence."""
        desired = self.options["probe"]
        if not desired or seconds is None:
            return None

        def accept(status, text):
            # type: (int, str) -> Any
            if desired["contains"] in text:
                return None
            return desired["otherwise"] or "it answered %s without '%s'" % (status, desired["contains"])

        return http_probe.wait("127.0.0.1", desired["port"], desired["path"], accept, time.time() + seconds)


class LogMark:
    """The end of a log file at one moment; what came after it, also when the file was rotated away since."""

    def __init__(self, path):
        # type: (Optional[str]) -> None
        self.path = path
        self.inode, self.size = self._look()

    def _look(self):
        # type: () -> Tuple[int, int]
        if not self.path or not os.path.exists(self.path):
            return 0, 0
        status = os.stat(self.path)
        return status.st_ino, status.st_size

    def gained(self):
        # type: () -> str
        """The text since then; of much text the end."""
        inode, size = self._look()
        if not inode or not self.path:
            return ""
        start = self.size if inode == self.inode and size >= self.size else 0
        with open(self.path, "rb") as log:
            log.seek(max(start, size - LOG_TAIL))
            return decoded(log.read())
