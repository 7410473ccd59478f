# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application's fetched values on the host: generations of files in memory (`/run`), and links that say which one is used.

Only root may read them; secret files also the application's group where systemd can't hand them over. Runs under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

import grp
import os
import shutil
import tempfile

from .._host import links
from .environment import render

__metaclass__ = type

ENVIRONMENT = "environment"
FILES = "files"
ERROR = "error"
"""Why the values could not be fetched or used, for who asked for them."""

CURRENT, NEXT, APPLIED, REFUSED = "current", "next", "applied", "refused"
"""What a starting instance reads; what was fetched; what all instances were last ready with; what they did not get ready with."""


class ValueStore:
    """`group` may read the secret files; None: root alone."""

    def __init__(self, directory, group=None):
        self.directory = directory
        self.group = group

    def generation(self, link):
        """The generation that a link names, or None."""
        name = links.target(os.path.join(self.directory, link))
        return name if name and os.path.isdir(os.path.join(self.directory, name)) else None

    def stage(self, environment, files):
        """Writes a new generation and makes it `next`. Values: {variable: text}, {file name: bytes}."""
        if not os.path.isdir(self.directory):
            os.makedirs(self.directory)
        self._own(self.directory, 0o750)
        folder = tempfile.mkdtemp(prefix="values-", dir=self.directory)
        self._own(folder, 0o750)
        # systemd reads it as root before the process has its own rights.
        self._write(os.path.join(folder, ENVIRONMENT), render(environment).encode("utf-8"), 0o600)
        inner = os.path.join(folder, FILES)
        os.mkdir(inner)
        self._own(inner, 0o750)
        for name, content in files.items():
            path = os.path.join(inner, name)
            self._write(path, content, 0o600)
            self._own(path, 0o640)
        self.link(NEXT, os.path.basename(folder))

    def link(self, link, generation):
        """Makes a link name the generation; None removes the link."""
        links.switch(os.path.join(self.directory, link), generation)

    def adopt(self):
        """Instances that start from now on get what is staged, if anything is."""
        if self.generation(NEXT) is not None:
            self.link(CURRENT, self.generation(NEXT))
            self.link(NEXT, None)

    def confirm(self):
        """All instances are ready with the current values."""
        self.link(APPLIED, self.generation(CURRENT))
        self.link(REFUSED, None)

    def go_back(self):
        """Instances that start from now on get what all were last ready with, if there is such a thing."""
        applied = self.generation(APPLIED)
        if applied is not None:
            self.link(CURRENT, applied)

    def same(self, one, other):
        """Whether two links name the same values."""
        names = [self.generation(link) for link in (one, other)]
        return None not in names and self._contents(names[0]) == self._contents(names[1])

    def prune(self):
        """Removes the generations that nothing names."""
        if not os.path.isdir(self.directory):
            return
        used = [self.generation(link) for link in (CURRENT, NEXT, APPLIED, REFUSED)]
        for name in os.listdir(self.directory):
            if name.startswith("values-") and name not in used:
                shutil.rmtree(os.path.join(self.directory, name))

    def note(self, error):
        """Leaves the error for who asked; None removes an old one."""
        path = os.path.join(self.directory, ERROR)
        if error is not None:
            if not os.path.isdir(self.directory):
                os.makedirs(self.directory, 0o700)
            self._write(path + ".new", error.encode("utf-8"), 0o600)
            os.rename(path + ".new", path)
        elif os.path.exists(path):
            os.unlink(path)

    def error(self):
        """What `note` left, or an empty text."""
        path = os.path.join(self.directory, ERROR)
        if not os.path.exists(path):
            return ""
        with open(path, "rb") as stream:
            return stream.read().decode("utf-8")

    def _contents(self, generation):
        folder = os.path.join(self.directory, generation)
        names = [ENVIRONMENT] + [os.path.join(FILES, name) for name in sorted(os.listdir(os.path.join(folder, FILES)))]
        found = {}
        for name in names:
            with open(os.path.join(folder, name), "rb") as stream:
                found[name] = stream.read()
        return found

    def _own(self, path, mode):
        """Lets the group in, or nobody."""
        if self.group is None:
            os.chmod(path, mode & 0o700)
            return
        os.chown(path, 0, grp.getgrnam(self.group).gr_gid)
        os.chmod(path, mode)

    @staticmethod
    def _write(path, content, mode):
        if os.path.lexists(path):
            os.unlink(path)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
