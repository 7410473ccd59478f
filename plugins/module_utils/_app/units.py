# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of a systemd template unit, `<name>@<port>.service`: what they do, and how they are restarted and found ready.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import functools
import json
import time

from ansible_collections.ecommerce.fleet.plugins.module_utils._host import http_probe, systemd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.activation import LogMark
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.encoding import LINES, printable
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.undo import undo

LAST_LINES = 15


class Units:
    """The template unit of an application. `run` is AnsibleModule.run_command. `log`: where an instance logs; `%s` stands for its port."""

    def __init__(self, run, name, log=""):
        self.run = run
        self.name = name
        self.log = log
        self.started = {}  # type: dict[int, tuple[systemd.Unit, LogMark]]

    def unit(self, port):
        return "%s@%s.service" % (self.name, port)

    def do(self, *words):
        """Runs `systemctl WORDS`. Returns None, or a sentence with systemd's reason."""
        return systemd.do(self.run, *words)

    def running(self):
        """Ports of the instances that systemd runs or tries to run. Raises SystemdError."""
        states = systemd.listed(self.run, [self.unit("*")], "--all")
        ports = [name[len(self.name) + 1 : -len(".service")] for name in states if states[name] in systemd.RUNS]
        return [int(port) for port in ports if port.isdigit()]

    def restart(self, port):
        """As `systemctl restart`, but what the process before prints while it stops is not taken for output of the one that follows."""
        unit = systemd.Unit(self.run, self.unit(port))
        self.do("reset-failed", unit.name)
        refused = unit.do("stop")
        unit.mark()
        self.started[port] = unit, LogMark(self.log.replace("%s", str(port)))
        return refused or unit.do("start")

    def last_output(self, port):
        """What an instance printed since `restart`: the end of its log, or else what systemd says of it; '' where it was not restarted."""
        if port not in self.started:
            return ""
        unit, log = self.started[port]
        try:
            gained = [printable(line.rstrip(), LINES) for line in log.gained().splitlines() if line.strip()]
        except EnvironmentError as error:  # who asks has something to restore
            gained = [printable("%s" % error)]
        return "\n".join(gained[-LAST_LINES:] or unit.journal(LAST_LINES, own=False))


class Instances:
    """The instances of `units`, and when one of them is ready."""

    def __init__(self, units, health_path, version_path, ready_seconds, pause_seconds):
        self.units = units
        self.health_path = health_path
        self.version_path = version_path
        self.ready_seconds = ready_seconds
        self.pause_seconds = pause_seconds

    def bring_up(self, port, version):
        """Restarts one. Returns None once it is ready, else a sentence about what is wrong with it."""
        refused = self.units.restart(port)
        if refused:
            return refused
        error = wait_ready(port, self.health_path, self.version_path, version, self.ready_seconds)
        return error and "%s is not ready: %s" % (self.units.unit(port), error)

    def restart_in_turn(self, ports, version):
        """Restarts one after the other, each only when the one before is ready.

        Returns (ports that were touched, None or what is wrong with the last of them).
        """
        touched = []  # type: list[int]
        for port in ports:
            if touched:
                time.sleep(self.pause_seconds)
            touched.append(port)
            try:
                error = self.bring_up(port, version)
            except Exception as reason:  # whatever it is: who called has something to restore
                error = "whether %s is ready can't be told: %s" % (self.units.unit(port), reason)
            if error is not None:
                return touched, error
        return touched, None

    def bring_back(self, touched, version):
        """After what they ran before was restored: restarts those that were touched, the failed one first. Returns their errors."""

        def again(port):
            error = self.bring_up(port, version)
            return [error] if error else []

        return undo(*[functools.partial(again, port) for port in reversed(touched)])


def health(status, _text):
    """Accepts a healthy instance."""
    return None if status == 200 else "it answered %s" % status


def version_is(version):
    """Accepts an instance that runs `version`."""

    def accept(status, text):
        try:
            found = json.loads(text).get("version")
        except (ValueError, AttributeError):
            found = None
        if status == 200 and found == version:
            return None
        return "it answered %s with version %s, expected was %s" % (status, found, version)

    return accept


def wait_ready(port, health_path, version_path, version, seconds):
    """Returns None once the instance is healthy and runs `version`, else a sentence. An empty path is not asked."""
    deadline = time.time() + seconds
    for path, accept in ((health_path, health), (version_path, version_is(version))):
        error = http_probe.wait("127.0.0.1", port, path, accept, deadline) if path else None
        if error is not None:
            return "%s; waited %d s" % (error, seconds)
    return None
