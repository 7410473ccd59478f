# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host: what is read, what is run, and edits of files that can be undone. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import glob as globbing
import grp
import io
import os
import pwd
import stat as modes

from . import processes
from .encoding import decoded, name
from .errors import HostError
from .files import Files

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar  # noqa: F401

    from .processes import Completed  # noqa: F401

    T = TypeVar("T")


class System(Files):
    """``root``: the directory that stands for /. ``runner``: starts processes, as run()."""

    def __init__(self, root="/", runner=processes.run):
        # type: (str, Callable[..., Completed]) -> None
        super(System, self).__init__(root, runner)
        self._cache = {}  # type: Dict[str, Any]

    def read(self, path):
        # type: (str) -> Optional[str]
        """The text of a file; None if there is no such file."""
        content = self.content(path)
        return None if content is None else decoded(content)

    def glob(self, pattern):
        # type: (str) -> List[str]
        """Existing paths that match, sorted; a path without wildcards matches itself."""
        return sorted(self.shown(path) for path in globbing.glob(self.real(pattern)))

    def layered(self, *folders):
        # type: (*str) -> List[str]
        """The .conf files of the folders by name; one in a later folder replaces that of the same name in an earlier one."""
        found = [path for folder in folders for path in self.glob(folder + "/*.conf")]
        chosen = {path.rsplit("/", 1)[1]: path for path in found if not os.path.isdir(self.real(path))}
        return [chosen[name] for name in sorted(chosen)]

    def exists(self, path):
        # type: (str) -> bool
        return os.path.lexists(self.real(path))

    def stat(self, path):
        # type: (str) -> Optional[Dict[str, Any]]
        """{mode, owner, group, kind} of what the path leads to; None if there is nothing. ``kind``: file, directory or other."""
        try:
            found = os.stat(self.real(path))
        except OSError:
            return None
        kinds = ((modes.S_ISREG, "file"), (modes.S_ISDIR, "directory"))
        kind = next((name for test, name in kinds if test(found.st_mode)), "other")
        owner, group = _name(pwd.getpwuid, found.st_uid), _name(grp.getgrgid, found.st_gid)
        return {"mode": modes.S_IMODE(found.st_mode), "owner": owner, "group": group, "kind": kind}

    def read_once(self, path):
        # type: (str) -> str
        """The text of a file that many controls look at, '' if there is none; read again after ``forget(path)``."""
        return self.cached(path, lambda: self.read(path) or "")

    def writable(self, path):
        # type: (str) -> bool
        """Whether root may write there: files of /proc may be read-only in a container."""
        return os.access(self.real(path), os.W_OK)

    def cached(self, name, make):
        # type: (str, Callable[[], T]) -> T
        """What ``make()`` returned the first time since ``forget(name)``."""
        if name not in self._cache:
            self._cache[name] = make()
        value = self._cache[name]  # type: T
        return value  # noqa: RET504 - gives it its type

    def remember(self, name, value):
        # type: (str, Any) -> None
        """Have ``cached(name)`` return the value."""
        self._cache[name] = value

    def forget(self, name):
        # type: (str) -> None
        self._cache.pop(name, None)

    def forget_all(self, beginning):
        # type: (str) -> None
        """Forget every name that begins so."""
        for known in [known for known in self._cache if known.startswith(beginning)]:
            self.forget(known)

    def run(self, argv, timeout=30.0, stdin=None):
        # type: (List[str], float, Optional[str]) -> Completed
        return self._runner(argv, timeout=timeout, stdin=stdin)

    def do(self, argv, failure="", timeout=60.0, stdin=None):
        # type: (List[str], str, float, Optional[str]) -> None
        """Run a process for what it does. Raises HostError, which says ``failure`` (else the command) and the output."""
        done = self.run(argv, timeout, stdin)
        if done.code != 0:
            raise HostError("%s: %s" % (failure or " ".join(argv), done.output or "ended with code %d" % done.code))

    def command(self, argv):
        # type: (List[str]) -> Tuple[int, str, str]
        """(exit code, output, errors), as AnsibleModule.run_command answers."""
        done = self.run(argv)
        return done.code, done.out, done.err

    def set_kernel_value(self, path, text):
        # type: (str, str) -> bool
        """Write a file of /proc; False if the kernel does not let this machine (a container, say)."""
        try:
            with io.open(self.real(path), "wb") as stream:
                stream.write(text.encode("ascii"))
        except (IOError, OSError):
            return False
        return True

    def restore(self, mark):
        # type: (int) -> List[str]
        self._cache.clear()
        return super(System, self).restore(mark)


def _name(lookup, number):
    # type: (Callable[[int], Any], int) -> str
    try:
        return name(lookup(number)[0])
    except KeyError:
        return "%d" % number
