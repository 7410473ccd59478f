# Copyright: The ecommerce.fleet maintainers
# MIT License
"""An application's fetched values on the host: generations of files in memory (`/run`), and links that say which one is used.

Only root may read them; secret files also the application's group where systemd can't hand them over. Runs under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import grp
import os
import re
import shutil
import tempfile

ENVIRONMENT = "environment"
FILES = "files"
TROUBLE = "trouble"
"""Why the values could not be fetched or used, for who asked for them."""

CURRENT, NEXT, APPLIED, REFUSED = "current", "next", "applied", "refused"
"""What a starting instance reads; what was fetched; what all instances were last found ready with; what they did not get ready with."""


class ValueStore:
    """`group` may read the secret files; None: root alone."""

    def __init__(self, directory, group=None):
        self.directory = directory
        self.group = group

    def generation(self, link):
        """The generation that a link names, or None."""
        path = os.path.join(self.directory, link)
        name = os.readlink(path) if os.path.islink(path) else None
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
        """Makes a link name the generation by one rename; None removes the link."""
        path = os.path.join(self.directory, link)
        if generation is None:
            if os.path.islink(path):
                os.unlink(path)
            return
        scratch = "%s.%d" % (path, os.getpid())
        os.symlink(generation, scratch)
        os.rename(scratch, path)

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
        """Instances that start from now on get what all were last ready with. Returns whether there is such a thing."""
        applied = self.generation(APPLIED)
        if applied is not None:
            self.link(CURRENT, applied)
        return applied is not None

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

    def note(self, trouble):
        """Leaves the trouble for who asked; None takes an old one away."""
        path = os.path.join(self.directory, TROUBLE)
        if trouble is not None:
            if not os.path.isdir(self.directory):
                os.makedirs(self.directory, 0o700)
            self._write(path + ".new", trouble.encode("utf-8"), 0o600)
            os.rename(path + ".new", path)
        elif os.path.exists(path):
            os.unlink(path)

    def trouble(self):
        """What `note` left, or an empty text."""
        path = os.path.join(self.directory, TROUBLE)
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


def render(environment):
    """A systemd environment file."""
    lines = []
    for name, value in sorted(environment.items()):
        escaped = re.sub(r'([\\"`$])', r"\\\1", value)
        lines.append('%s="%s"\n' % (name, escaped))
    return "".join(lines)
