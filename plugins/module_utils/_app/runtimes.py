# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runtimes that an application brings itself (Node.js, Python, a JDK): `runtimes/<first digits of the archive's checksum>`.

Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from .._host import processes
from .archive import Archive, StoreError, installed_from

DIGITS = 16
"""Of the checksum, in the directory's name. The role app_runtime's start program has the name too."""
PROOF_SECONDS = 30
MOST_NAMES = 8


class Runtimes:
    """`root` is the application's directory."""

    def __init__(self, root):
        self.folder = os.path.join(root, "runtimes")

    @staticmethod
    def name(sha256):
        return sha256[:DIGITS]

    def path(self, sha256):
        return os.path.join(self.folder, self.name(sha256))

    def has(self, sha256):
        """Whether it is unpacked, and its program has run here."""
        return installed_from(self.path(sha256)) == sha256

    def add(self, sha256, stream, source, proof):
        """Unpacks an archive read from `stream`, if its checksum is `sha256`, and if its program runs here: `proof`, its words inside."""
        title = "the runtime %s" % source

        Archive(title, stream, sha256, strip=True).install(
            self.path(sha256), source, lambda folder: prove(folder, title, proof)
        )

    def superfluous(self, kept):
        """Names that are not among `kept`, also of what an interrupted run has left."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return sorted(set(names) - set(kept))


def prove(folder, title, proof):
    """Raises StoreError unless the program `proof[0]` in the folder ends with 0 on this host."""
    program = os.path.join(folder, proof[0])
    if not os.path.isfile(program):
        names = sorted(os.listdir(folder))
        raise StoreError(
            "%s has no program %s; in it are: %s%s"
            % (title, proof[0], ", ".join(names[:MOST_NAMES]), ", ..." if len(names) > MOST_NAMES else "")
        )
    done = processes.run([program] + proof[1:], PROOF_SECONDS)
    if done.code != 0:
        lines = (done.err.strip() or done.out.strip()).splitlines()
        raise StoreError(
            "%s doesn't run on this host: %s ended with code %s%s. Take one that was built for this system's processor and C library"
            % (title, " ".join(proof), done.code, ": " + lines[-1].strip() if lines else "")
        )
