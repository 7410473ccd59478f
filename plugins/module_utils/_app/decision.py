# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release a host serves since it has booted: decided by a deployment or by the program of the boot. No instance starts before.

Runs on the hosts, under Python 2.7 and 3.7+, also where no Ansible is.
"""

from __future__ import absolute_import, division, print_function

import os

from .._host.files import Files
from .archive import attempt, load, save_json

__metaclass__ = type

MACHINE_ID = "/etc/machine-id"
LENGTH = 32
"""Of a machine's id (machine-id(5)); an image has none, its hosts make their own."""


class Decision:
    """`path`: a file in /run that is there once it was decided. `learned`: a file that outlives a boot, {machine, version, sha256}: which
    release was the current one when this machine last heard of it. An image has that of another machine. A release: (version, sha256)."""

    def __init__(self, path, learned, machine_id=MACHINE_ID):
        self.path = path
        self.learned = learned
        self.machine_id = machine_id

    @property
    def made(self):
        return os.path.exists(self.path)

    def learn(self, release):
        """Notes what the current release is, before the host has it."""
        if self.last_learned != release:
            save_json(self.learned, dict(machine=self._machine(), version=release[0], sha256=release[1]))

    @property
    def last_learned(self):
        """The release that this machine last learned to be the current one; None if it never has."""
        found = load(self.learned) or {}
        machine = self._machine()
        known = machine is not None and found.get("machine") == machine
        return (found.get("version"), found.get("sha256")) if known else None

    def make(self, release):
        """Lets instances start."""
        self.learn(release)
        if not self.made:
            attempt(Files().write, self.path, release[0] + "\n", 0o644)

    def restore(self, release):
        """After what followed has failed: as it was when `release` (None: nothing) was decided."""
        if release is not None:
            self.make(release)
        elif self.made:
            os.unlink(self.path)

    def _machine(self):
        try:
            with open(self.machine_id) as stream:
                found = stream.read().strip()
        except EnvironmentError:
            return None
        return found if len(found) == LENGTH else None
