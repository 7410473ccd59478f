# Copyright: The ecommerce.fleet maintainers
# MIT License
"""Instances of a systemd template unit, `<name>@<port>.service`: what they do, and how they are restarted and found ready.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import time

from ansible_collections.ecommerce.fleet.plugins.module_utils import http_probe

SYSTEMCTL_SECONDS = 120
LAST_LINES = 15


class Units:
    """`run` is AnsibleModule.run_command."""

    def __init__(self, run, name):
        self.run = run
        self.name = name

    def unit(self, port):
        return "%s@%s.service" % (self.name, port)

    def systemctl(self, *words):
        """Returns (exit code, output)."""
        code, out, err = self.run(["timeout", str(SYSTEMCTL_SECONDS), "systemctl"] + list(words))
        return code, (out + err).strip()

    def running(self):
        """Ports of the instances that systemd runs or tries to run."""
        _code, out = self.systemctl("list-units", "--all", "--plain", "--no-legend", "--full", self.name + "@*.service")
        ports = []
        for line in out.splitlines():
            words = line.replace("*", " ").split()
            if (
                len(words) > 3
                and words[0].startswith(self.name + "@")
                and words[2] in ("active", "activating", "reloading")
            ):
                ports.append(words[0][len(self.name) + 1 : -len(".service")])
        return [int(port) for port in ports if port.isdigit()]

    def enabled(self, names):
        """Which of the units start at boot."""
        if not names:
            return []
        _code, out = self.systemctl("is-enabled", *names)
        states = out.splitlines()
        return [name for name, state in zip(names, states) if state == "enabled"] if len(states) == len(names) else []

    def words_of(self, port, log):
        """What the instance said last: in its log (`%s` stands for the port), or else on its journal."""
        path = log.replace("%s", str(port))
        if path and os.path.exists(path):
            argv = ["tail", "-n", str(LAST_LINES), path]
        else:
            argv = ["journalctl", "--no-pager", "--output=cat", "--lines=%d" % LAST_LINES, "--unit=" + self.unit(port)]
        _code, out, _err = self.run(["timeout", "10"] + argv)
        return out.strip()


class Instances:
    """The instances of `units`, and when one of them is ready."""

    def __init__(self, units, health_path, version_path, ready_seconds, pause_seconds):
        self.units = units
        self.health_path = health_path
        self.version_path = version_path
        self.ready_seconds = ready_seconds
        self.pause_seconds = pause_seconds

    def bring_up(self, port, version):
        """Restarts one. Returns None once it is ready, else what is wrong with it."""
        unit = self.units.unit(port)
        self.units.systemctl("reset-failed", unit)
        code, output = self.units.systemctl("restart", unit)
        if code != 0:
            return "%s did not start: %s" % (unit, output)
        trouble = wait_ready(port, self.health_path, self.version_path, version, self.ready_seconds)
        return trouble and "%s is not ready: %s" % (unit, trouble)

    def restart_in_turn(self, ports, version):
        """Restarts one after the other, each only when the one before is ready.

        Returns (ports that were touched, None or what is wrong with the last of them).
        """
        touched = []  # type: list[int]
        for port in ports:
            if touched:
                time.sleep(self.pause_seconds)
            touched.append(port)
            trouble = self.bring_up(port, version)
            if trouble is not None:
                return touched, trouble
        return touched, None

    def bring_back(self, touched, version):
        """After what they ran before was put back: restarts those that were touched, the failed one first. Returns their troubles."""
        return [trouble for trouble in [self.bring_up(port, version) for port in reversed(touched)] if trouble]


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
        trouble = http_probe.wait("127.0.0.1", port, path, accept, deadline) if path else None
        if trouble is not None:
            return "%s; waited %d s" % (trouble, seconds)
    return None
