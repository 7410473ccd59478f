# Copyright: The ecommerce.fleet maintainers
# MIT License
"""The virtual environment of a Python release: made from the release's own lock file, inside the release.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible_collections.ecommerce.fleet.plugins.module_utils.release_store import StoreError

PYTHON = "/usr/bin/python3"
LOCK = "requirements.lock"
WHEELS = "wheels"
ENVIRONMENT = ".venv"
INSTALL_SECONDS = 600
LAST_LINES = 8


def complete(run, folder):
    """Makes `<folder>/.venv` if the release has a lock file. Raises StoreError with pip's own words. `run` is AnsibleModule.run_command."""
    lock = os.path.join(folder, LOCK)
    if not os.path.exists(lock):
        return
    target = os.path.join(folder, ENVIRONMENT)
    step(run, [PYTHON, "-m", "venv", target], "the virtual environment can't be made")
    step(run, pip_command(folder), "the packages of %s can't be installed" % LOCK)


def pip_command(folder):
    """Only what the lock file lists by its hash; from the release's own wheels if it has any."""
    pip = [os.path.join(folder, ENVIRONMENT, "bin", "python"), "-m", "pip", "--disable-pip-version-check"]
    wheels = os.path.join(folder, WHEELS)
    source = ["--no-index", "--find-links", wheels] if os.path.isdir(wheels) else []
    return (
        pip
        + ["install", "--quiet", "--no-input", "--no-cache-dir", "--require-hashes"]
        + source
        + ["--requirement", os.path.join(folder, LOCK)]
    )


def step(run, argv, failure):
    # The application's user reads it, whatever root's own mask is.
    code, out, err = run(["timeout", str(INSTALL_SECONDS)] + argv, umask=0o022)
    if code != 0:
        lines = (err or out).strip().splitlines()[-LAST_LINES:]
        raise StoreError("%s: %s" % (failure, "\n".join(lines) or "code %s" % code))
