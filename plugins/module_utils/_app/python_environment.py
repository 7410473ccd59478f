# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environment of a Python release: made from the release's own lock file, inside the release. One for each runtime, so that
going back to a runtime finds its own.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import shutil

from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError, attempt
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.files import Files
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import UMASK

PYTHON = "/usr/bin/python3"
LOCK = "requirements.lock"
WHEELS = "wheels"
ENVIRONMENT = ".venv"
UNFINISHED = ".unfinished"
"""Beside an environment while it is made."""
INSTALL_SECONDS = 600
LAST_LINES = 8


class Environment:
    """The virtual environment that a runtime serves a release from. `runtime`: the name and the directory of one that was brought;
    None: the system's own."""

    def __init__(self, runtime=None):
        self.python = os.path.join(runtime[1], "bin", "python3") if runtime else PYTHON
        self.name = "%s-%s" % (ENVIRONMENT, runtime[0]) if runtime else ENVIRONMENT

    def is_missing(self, folder):
        """Whether the release in `folder` needs one that is not there, or not in whole."""
        target = os.path.join(folder, self.name)
        there = os.path.isdir(target) and not os.path.exists(target + UNFINISHED)
        return os.path.exists(os.path.join(folder, LOCK)) and not there

    def complete(self, run, folder):
        """Makes it if the release has a lock file. Raises StoreError with pip's own words. `run` is AnsibleModule.run_command."""
        if not self.is_missing(folder):
            return
        target = os.path.join(folder, self.name)
        attempt(Files().write, target + UNFINISHED, "")
        shutil.rmtree(target, ignore_errors=True)  # of a run that was interrupted
        step(run, [self.python, "-m", "venv", target], "the virtual environment can't be made")
        step(run, pip_command(folder, target), "the packages of %s can't be installed" % LOCK)
        os.unlink(target + UNFINISHED)


def pip_command(folder, environment):
    """Only what the lock file lists by its hash; from the release's own wheels if it has any."""
    pip = [os.path.join(environment, "bin", "python"), "-m", "pip", "--disable-pip-version-check"]
    wheels = os.path.join(folder, WHEELS)
    source = ["--no-index", "--find-links", wheels] if os.path.isdir(wheels) else []
    return (
        pip
        + ["install", "--quiet", "--no-input", "--no-cache-dir", "--require-hashes"]
        + source
        + ["--requirement", os.path.join(folder, LOCK)]
    )


def step(run, argv, failure):
    code, out, err = run(["timeout", str(INSTALL_SECONDS)] + argv, umask=UMASK)
    if code != 0:
        lines = (err or out).strip().splitlines()[-LAST_LINES:]
        raise StoreError("%s: %s" % (failure, "\n".join(lines) or "code %s" % code))
