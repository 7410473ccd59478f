# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to start a process on a host. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import os
import subprocess
import threading

from .encoding import decoded, encoded, native, printable

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import List, Optional  # noqa: F401

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
UMASK = 0o022
"""What processes are started with. A hardened host's own, 027 or 077, would close files that they make for everybody."""


class Completed(object):
    """A process that has ended. ``out`` and ``err`` are text, as encoding.decoded makes it of any bytes."""

    def __init__(self, argv, code, out, err):
        # type: (List[str], int, str, str) -> None
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def output(self):
        # type: () -> str
        """What it printed, in one line that can be shown: errors first."""
        return printable(" ".join((self.err.strip() or self.out.strip()).split())[:400])


def run(argv, timeout=30.0, stdin=None):
    # type: (List[str], float, Optional[str]) -> Completed
    """Run a process and wait for it. A missing program is code 127; one that takes longer than ``timeout`` seconds is killed: code 124."""
    environment = dict(os.environ, PATH=PATH, LC_ALL="C", LANG="C")
    own = os.umask(UMASK)
    try:
        process = subprocess.Popen(
            [native(word) for word in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            close_fds=True,
        )
    except OSError as error:
        return Completed(argv, 127, "", "%s: %s" % (argv[0], error.strerror))
    finally:
        os.umask(own)
    expired = []  # type: List[bool]

    def expire():
        # type: () -> None
        expired.append(True)
        process.kill()

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        out, err = process.communicate(None if stdin is None else encoded(stdin))
    finally:
        timer.cancel()
    if expired:
        return Completed(argv, 124, "", "%s: killed after %g s" % (argv[0], timeout))
    return Completed(argv, process.returncode, decoded(out), decoded(err))
