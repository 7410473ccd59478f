# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AIDE's database of the files of an image, made when nothing will change them any more. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import io
import os
import re
import tempfile

from .encoding import decoded, encoded
from .errors import HostError

MYPY = False
if MYPY:
    from typing import Callable, Dict, Optional, Tuple  # noqa: F401

    Run = Callable[..., Tuple[int, str, str]]

CONFIGURATION = "/etc/aide.conf"
# Where Amazon Linux's configuration has them, and where the nightly comparison looks (control aide-service).
DATABASE = "/var/lib/aide/aide.db.gz"
NEW_DATABASE = "/var/lib/aide/aide.db.new.gz"


class AideError(HostError):
    """A message for the person who bakes: what failed, where, what to do."""


def update(program, run, check_mode, root=""):
    # type: (str, Run, bool, str) -> Tuple[bool, Optional[Dict[str, str]]]
    """Have the database describe the files as they are: (whether it did not before, what the manifest says of it; None in check mode).

    ``run(argv)`` answers (exit code, output, errors).
    """
    there = os.path.exists(root + DATABASE)
    configuration = _quiet_file(root)
    try:
        if there and run([program, "--config=" + configuration, "--check"])[0] == 0:
            return False, entry(program, run, root)
        if check_mode:
            return True, None
        if os.path.lexists(root + NEW_DATABASE):
            os.unlink(root + NEW_DATABASE)
        code, out, errors = run([program, "--config=" + configuration, "--init"])
    finally:
        os.unlink(configuration)
    if code != 0 or not os.path.exists(root + NEW_DATABASE):
        output = " ".join((errors.strip() or out.strip()).split())[-400:]
        raise AideError(
            "Making the AIDE database: aide --init ended with exit code %d%s: %s. No image must be made from this host; correct %s, "
            "which must have the database written to %s, and bake again."
            % (code, "" if code else " and wrote no database", output or "no output", CONFIGURATION, NEW_DATABASE)
        )
    os.chmod(root + NEW_DATABASE, 0o600)
    os.rename(root + NEW_DATABASE, root + DATABASE)
    return True, entry(program, run, root)


def _quiet_file(root):
    # type: (str) -> str
    """A copy of the configuration without its report files: the log that AIDE would leave in the image is of no host."""
    lines = _read(root + CONFIGURATION).splitlines()
    kept = [line for line in lines if not re.match(r"\s*report_url\s*=", line)]
    handle, path = tempfile.mkstemp(prefix="fleet-aide-", suffix=".conf", dir=root + "/run")
    with os.fdopen(handle, "wb") as stream:
        stream.write(encoded("\n".join(kept + ["report_url=stdout", ""])))
    return path


def entry(program, run, root=""):
    # type: (str, Run, str) -> Dict[str, str]
    """What the manifest says: where the database is, its SHA-256, and which AIDE made it."""
    _code, out, errors = run([program, "--version"])
    version = re.search(r"\d+(\.\d+)+", out + errors)
    return {
        "database": DATABASE,
        "sha256": _digest(root + DATABASE),
        "version": version.group(0) if version else "unknown",
    }


def _read(path):
    # type: (str) -> str
    try:
        with io.open(path, "rb") as stream:
            return decoded(stream.read())
    except (IOError, OSError) as error:
        raise AideError(
            "Making the AIDE database: AIDE is installed, but %s cannot be read: %s. Reinstall the package aide or turn "
            "image_finish_aide off." % (path, error)
        )


def _digest(path):
    # type: (str) -> str
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
