# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of files that can be undone: each is made by one rename, and what was there before is kept.

Modes do not depend on the umask, and new files get SELinux's label. Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

import errno
import fcntl
import grp
import io
import os
import pwd
import stat as modes
import struct
import tempfile
from collections import namedtuple

from . import processes
from .encoding import LINES, encoded, name, native, printable
from .errors import HostError

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Callable, Dict, List, Optional, Tuple, Union  # noqa: F401

SELINUX = "/sys/fs/selinux/enforce"
GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS of linux/fs.h on 64-bit processors: the attributes that lsattr(1) lists."""
KEEPING = ((0x10, "i", "immutable"), (0x20, "a", "append-only"))
"""FS_IMMUTABLE_FL and FS_APPEND_FL: attributes that keep root from changing, replacing or removing a file."""


Saved = namedtuple("Saved", "path content link mode uid gid")
"""A path as it was: ``mode`` is None if there was nothing; ``content`` (bytes) only for files; ``link`` is a symbolic link's target."""


class Files(object):
    """``root``: the directory that stands for /. ``runner``: starts processes, as processes.run(). Every method raises HostError.

    Paths and texts are text of any bytes, see encoding.py.
    """

    def __init__(self, root="/", runner=processes.run):
        # type: (str, Callable[..., processes.Completed]) -> None
        self.root = name(os.path.realpath(native(root))).rstrip("/")
        self._runner = runner
        self._saved = []  # type: List[Saved]

    def real(self, path):
        # type: (str) -> str
        """The path as the system's calls take it. Raises HostError for one that can't be one."""
        if "\0" in name(path):
            raise HostError("%s is no path: it has a NUL character" % path)
        return native(self.root + name(path))

    def shown(self, real):
        # type: (str) -> str
        """The path of what a call of the system answered, below the root."""
        return name(real)[len(self.root) :]

    def content(self, path):
        # type: (str) -> Optional[bytes]
        """The bytes of a file; None if there is no such file."""
        try:
            if modes.S_ISFIFO(os.stat(self.real(path)).st_mode):
                raise HostError("Cannot read %s: it is a named pipe" % path)  # opening it would wait for a writer
            with io.open(self.real(path), "rb") as stream:
                return stream.read()
        except (IOError, OSError) as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise HostError("Cannot read %s: %s" % (path, self._why(error, path)))

    # Changing

    def write(self, path, text, mode=None):
        # type: (str, Union[str, bytes], Optional[int]) -> None
        """Replace the file's text, keeping its owner and mode; a new one is root's, ``mode`` (0644).

        Follows symbolic links, but to a device, such as /dev/null: then the link is replaced.
        """
        special = self._is_special(path)
        if special and not os.path.islink(self.real(path)):
            raise HostError("Cannot write %s: it is a device or a pipe" % path)
        target = path if special else self.shown(os.path.realpath(self.real(path)))
        owner, kept = (-1, -1), 0o644
        if not special and os.path.exists(self.real(target)):
            before = os.stat(self.real(target))
            owner, kept = (before.st_uid, before.st_gid), modes.S_IMODE(before.st_mode)
        self._swap(self.stage(target, encoded(text)), target, kept if mode is None else mode, owner)

    def stage(self, path, content):
        # type: (str, bytes) -> str
        """A new file with the content beside the path, for root only; answers its real name. Directories on the way to it are made."""
        target, staged = self.real(path), None
        try:
            self._make_directories(os.path.dirname(target))
            handle, staged = tempfile.mkstemp(
                prefix="." + os.path.basename(target) + ".", suffix=".stage", dir=os.path.dirname(target)
            )
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        except EnvironmentError as error:
            if staged is not None:
                discard(staged)
            raise HostError("Cannot write beside %s: %s" % (path, self._why(error, path)))
        return staged

    def place(self, staged, path, mode, owner=None, group=None):
        # type: (str, str, int, Optional[str], Optional[str]) -> None
        """Have what was staged take the path's place, with this mode, owner and group (names or numbers)."""
        self._swap(staged, path, mode, _ids(path, owner, group))

    def make_directory(self, path, mode, owner, group):
        # type: (str, int, Optional[str], Optional[str]) -> bool
        """Make the directory or correct its attributes; answers whether something changed."""
        try:
            made = self._make_directories(self.real(path), mode)
        except EnvironmentError as error:
            raise HostError("Cannot make the directory %s: %s" % (path, self._why(error, path)))
        return self.set_attributes(path, mode, owner, group) or made

    def set_attributes(self, path, mode=None, owner=None, group=None):
        # type: (str, Optional[int], Optional[str], Optional[str]) -> bool
        """Change mode, owner and group (names or numbers) of what the path leads to; answers whether something changed.

        Raises HostError for a device, which others use too: a link to /dev/null is how people switch a file off.
        """
        if self._is_special(path):
            raise HostError(
                "%s leads to a device or a pipe, whose mode and owner stay. Make it a file of its own" % path
            )
        if not self.attributes_differ(path, mode, owner, group):
            return False
        self.keep(path)
        try:
            if owner is not None or group is not None:
                os.chown(self.real(path), *_ids(path, owner, group))
            if mode is not None:
                os.chmod(self.real(path), mode)
        except OSError as error:
            raise HostError("Cannot change mode or owner of %s: %s" % (path, self._why(error, path)))
        return True

    def _is_special(self, path):
        # type: (str) -> bool
        """Whether the path leads to what is neither a file nor a directory."""
        try:
            mode = os.stat(self.real(path)).st_mode
        except OSError:
            return False
        return not (modes.S_ISREG(mode) or modes.S_ISDIR(mode))

    def attributes_differ(self, path, mode=None, owner=None, group=None):
        # type: (str, Optional[int], Optional[str], Optional[str]) -> bool
        """Whether what the path leads to has another mode, owner or group."""
        try:
            found = os.stat(self.real(path))
        except OSError as error:
            raise HostError("Cannot change mode or owner of %s: %s" % (path, error.strerror))
        desired = (mode,) + _ids(path, owner, group)
        actual = (modes.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
        return any(value not in (None, -1, there) for value, there in zip(desired, actual))

    def remove(self, path):
        # type: (str) -> None
        self.keep(path)
        try:
            os.unlink(self.real(path))
        except OSError as error:
            raise HostError("Cannot remove %s: %s" % (path, self._why(error, path)))

    # Undoing

    def keep(self, path):
        # type: (str) -> None
        """Remember the path as it is now, so that ``restore`` brings it back; of a directory, its mode and owner only."""
        real = self.real(path)
        if os.path.islink(real) and os.path.exists(real):
            self.keep(self.shown(os.path.realpath(real)))
        try:
            self._saved.append(self._as_it_is(path))
        except EnvironmentError as error:
            raise HostError("Cannot keep %s as it is, so it stays: %s" % (path, self._why(error, path)))

    def _as_it_is(self, path):
        # type: (str) -> Saved
        real = self.real(path)
        if not os.path.lexists(real):
            return Saved(path, None, None, None, 0, 0)
        link, found, content = os.readlink(real) if os.path.islink(real) else None, os.lstat(real), None
        if modes.S_ISREG(found.st_mode):
            with io.open(real, "rb") as stream:
                content = stream.read()
        return Saved(path, content, link, modes.S_IMODE(found.st_mode), found.st_uid, found.st_gid)

    def mark(self):
        # type: () -> int
        """A point that ``restore`` can go back to."""
        return len(self._saved)

    def restore(self, mark):
        # type: (int) -> List[str]
        """Undo every change of files since ``mark``, the last one first. Directories that were made stay.

        Never raises: answers the paths that are not as they were, a sentence each with the reason.
        """
        left = {}  # type: Dict[str, str]
        while len(self._saved) > mark:
            saved = self._saved.pop()
            left.pop(saved.path, None)  # what it was before that counts
            try:
                if self._as_it_is(saved.path) != saved:
                    self._restore(saved)
            except EnvironmentError as error:
                left[saved.path] = "%s is not as it was: %s" % (saved.path, self._why(error, saved.path))
            except HostError as error:
                left[saved.path] = "%s is not as it was: %s" % (saved.path, error)
        return [left[path] for path in sorted(left)]

    def changes(self):
        # type: () -> List[Tuple[str, str, str]]
        """(path, text before, text after), to be shown, of every file whose content changed; '' where there was or is none."""
        first = {}  # type: Dict[str, Saved]
        for saved in self._saved:
            if saved.link is None and (saved.content is not None or saved.mode is None):
                first.setdefault(saved.path, saved)
        texts = [(path, saved.content or b"", self.content(path) or b"") for path, saved in sorted(first.items())]
        return [
            (path, printable(before, LINES), printable(after, LINES))
            for path, before, after in texts
            if before != after
        ]

    def _restore(self, saved):
        # type: (Saved) -> None
        real = self.real(saved.path)
        if saved.mode is None:
            if os.path.lexists(real):
                os.unlink(real)
        elif saved.link is not None:
            if not os.path.islink(real) or os.readlink(real) != saved.link:
                if os.path.lexists(real):
                    os.unlink(real)
                os.symlink(saved.link, real)
        elif saved.content is not None:
            self._replace(self.stage(saved.path, saved.content), saved.path, saved.mode, (saved.uid, saved.gid))
        else:
            os.chown(real, saved.uid, saved.gid)
            os.chmod(real, saved.mode)

    def _swap(self, staged, path, mode, owner):
        # type: (str, str, int, Tuple[int, int]) -> None
        try:
            self.keep(path)
        except HostError:
            discard(staged)
            raise
        try:
            self._replace(staged, path, mode, owner)
        except EnvironmentError as error:
            raise HostError("Cannot write %s: %s" % (path, self._why(error, path)))

    def _replace(self, staged, path, mode, owner):
        # type: (str, str, int, Tuple[int, int]) -> None
        try:
            os.chown(staged, owner[0], owner[1])
            os.chmod(staged, mode)
            os.rename(staged, self.real(path))
        except BaseException:
            discard(staged)
            raise
        self._label(path)

    def _why(self, error, path):
        # type: (EnvironmentError, str) -> str
        """The system's reason; of a refusal also the attributes of the file and its directory that keep even root out."""
        reason = error.strerror or "%s" % error
        if error.errno in (errno.EPERM, errno.EACCES):
            folder = os.path.dirname(path)
            while not os.path.isdir(self.real(folder)):
                folder = os.path.dirname(folder)
            for there in (path, folder):
                for letter, meaning in _attributes(self.real(there)):
                    reason += "; %s has the attribute %s (%s), which chattr -%s removes" % (
                        there,
                        letter,
                        meaning,
                        letter,
                    )
        return reason

    def _label(self, path):
        # type: (str) -> None
        if not self.root and os.path.exists(SELINUX):
            self._runner(["restorecon", path])

    def _make_directories(self, real, mode=0o755):
        # type: (str, int) -> bool
        """Make the directory with the mode and those on the way to it, 0755 each; answers whether any was missing."""
        if os.path.isdir(real):
            return False
        self._make_directories(os.path.dirname(real))
        os.mkdir(real, mode & 0o700)
        os.chmod(real, mode)
        self._label(real)
        return True


def discard(staged):
    # type: (str) -> None
    """Remove what was staged, if that is possible: why it is not used is what matters then."""
    try:
        os.unlink(staged)
    except OSError:
        pass


def _attributes(real):
    # type: (str) -> List[Tuple[str, str]]
    """(letter, meaning) of the file's attributes of KEEPING; none where the file system has no attributes."""
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(handle, GET_FLAGS, struct.pack("l", 0)))
    except (IOError, OSError):
        return []
    finally:
        os.close(handle)
    return [(letter, meaning) for bit, letter, meaning in KEEPING if flags & bit]


def _ids(path, owner, group):
    # type: (str, Optional[str], Optional[str]) -> Tuple[int, int]
    """(uid, gid) of a user and a group given by name or number; -1 for None, which chown(2) leaves alone."""
    ids = []  # type: List[int]
    for known, number_of in ((owner, pwd.getpwnam), (group, grp.getgrnam)):
        if known is None:
            ids.append(-1)
            continue
        try:
            ids.append(number_of(native(known))[2])
        except KeyError:
            if not known.isdigit():
                raise HostError("Cannot give %s to %s: there is no such user or group here" % (path, known))
            ids.append(int(known))
    return ids[0], ids[1]
