"""The host as the engine sees it. Every file that is read or changed and every process go through System, which can undo what it did."""

from __future__ import absolute_import, division, print_function

import errno
import glob as globbing
import grp
import io
import os
import pwd
import stat as modes
import subprocess
import tempfile
import threading

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar  # noqa: F401

    T = TypeVar("T")

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class HardeningError(Exception):
    """Something a person has to know: what was being done, on what, what happened, what to do next."""


class Completed(object):
    """A process that has ended. ``out`` and ``err`` are text."""

    def __init__(self, argv, code, out, err):
        # type: (List[str], int, str, str) -> None
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def said(self):
        # type: () -> str
        """What it printed, in one line: errors first."""
        return " ".join((self.err.strip() or self.out.strip()).split())[:400]


def run(argv, timeout=30.0, stdin=None):
    # type: (List[str], float, Optional[str]) -> Completed
    """Run a process and wait for it. A missing program is code 127; one that takes longer than ``timeout`` seconds is killed: code 124."""
    environment = dict(os.environ, PATH=PATH, LC_ALL="C", LANG="C")
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, close_fds=True
        )
    except OSError as error:
        return Completed(argv, 127, "", "%s: %s" % (argv[0], error.strerror))
    expired = []  # type: List[bool]

    def expire():
        # type: () -> None
        expired.append(True)
        process.kill()

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        out, err = process.communicate(None if stdin is None else stdin.encode("utf-8"))
    finally:
        timer.cancel()
    if expired:
        return Completed(argv, 124, "", "%s: killed after %g s" % (argv[0], timeout))
    return Completed(argv, process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


class Saved(object):
    """A path as it was: ``mode`` is None if there was nothing; ``content`` (bytes) only for files; ``link`` is a symbolic link's target."""

    def __init__(self, path, content=None, link=None, attributes=None):
        # type: (str, Optional[bytes], Optional[str], Optional[Tuple[int, int, int]]) -> None
        self.path, self.content, self.link = path, content, link
        self.mode = attributes[0] if attributes else None
        self.uid, self.gid = attributes[1:] if attributes else (0, 0)


class System(object):
    """``root``: the directory that stands for /. ``runner``: starts processes, as run()."""

    def __init__(self, root="/", runner=run):
        # type: (str, Callable[..., Completed]) -> None
        self.root = root.rstrip("/")
        self._runner = runner
        self._cache = {}  # type: Dict[str, Any]
        self._saved = []  # type: List[Saved]

    # Reading

    def real(self, path):
        # type: (str) -> str
        return self.root + path

    def read(self, path):
        # type: (str) -> Optional[str]
        """The text of a file; None if there is no such file."""
        try:
            with io.open(self.real(path), "rb") as stream:
                return stream.read().decode("utf-8", "replace")
        except (IOError, OSError) as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise HardeningError("Cannot read %s: %s" % (path, error.strerror))

    def glob(self, pattern):
        # type: (str) -> List[str]
        """Existing paths that match, sorted; a path without wildcards matches itself."""
        return sorted(path[len(self.root) :] for path in globbing.glob(self.real(pattern)))

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
        owner, group = user_name(found.st_uid), group_name(found.st_gid)
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

    def run(self, argv, timeout=30.0, stdin=None):
        # type: (List[str], float, Optional[str]) -> Completed
        return self._runner(argv, timeout=timeout, stdin=stdin)

    # Changing

    def write(self, path, text, mode=None):
        # type: (str, str, Optional[int]) -> None
        """Replace the file in one step, keeping its owner and mode; a new one is root's, ``mode`` (0644). Follows symbolic links."""
        self.keep(path)
        target = os.path.realpath(self.real(path))
        try:
            self._make_directory(os.path.dirname(target))
            before = os.stat(target) if os.path.exists(target) else None
            owner = (before.st_uid, before.st_gid) if before else None
            kept = modes.S_IMODE(before.st_mode) if before else 0o644
            _replace(target, text.encode("utf-8"), kept if mode is None else mode, owner)
        except (IOError, OSError) as error:
            raise HardeningError("Cannot write %s: %s" % (path, error.strerror))
        self._restore_label(path)

    def set_attributes(self, path, mode=None, owner=None, group=None):
        # type: (str, Optional[int], Optional[str], Optional[str]) -> None
        """Change mode, owner (a user's name) and group (a group's name) of what the path leads to."""
        self.keep(path)
        try:
            uid = -1 if owner is None else pwd.getpwnam(owner).pw_uid
            gid = -1 if group is None else grp.getgrnam(group).gr_gid
            if (uid, gid) != (-1, -1):
                os.chown(self.real(path), uid, gid)
            if mode is not None:
                os.chmod(self.real(path), mode)
        except KeyError as error:
            raise HardeningError("Cannot change the owner of %s: %s" % (path, error))
        except OSError as error:
            raise HardeningError("Cannot change mode or owner of %s: %s" % (path, error.strerror))

    def remove(self, path):
        # type: (str) -> None
        self.keep(path)
        try:
            os.unlink(self.real(path))
        except OSError as error:
            raise HardeningError("Cannot remove %s: %s" % (path, error.strerror))

    def set_kernel_value(self, path, text):
        # type: (str, str) -> bool
        """Write a file of /proc; False if the kernel does not let this machine (a container, say)."""
        try:
            with io.open(self.real(path), "wb") as stream:
                stream.write(text.encode("ascii"))
        except (IOError, OSError):
            return False
        return True

    # Undoing

    def keep(self, path):
        # type: (str) -> None
        """Remember the path as it is now, so that ``restore`` brings it back; of a directory, its mode and owner only."""
        real = self.real(path)
        if not os.path.lexists(real):
            self._saved.append(Saved(path))
            return
        link = os.readlink(real) if os.path.islink(real) else None
        if link is not None and os.path.exists(real):
            self.keep(os.path.realpath(real)[len(self.root) :])
        found, content = os.lstat(real), None
        if modes.S_ISREG(found.st_mode):
            with io.open(real, "rb") as stream:
                content = stream.read()
        self._saved.append(Saved(path, content, link, (modes.S_IMODE(found.st_mode), found.st_uid, found.st_gid)))

    def mark(self):
        # type: () -> int
        """A point that ``restore`` can go back to."""
        return len(self._saved)

    def restore(self, mark):
        # type: (int) -> None
        """Undo every change of files since ``mark``, the last one first."""
        while len(self._saved) > mark:
            self._put_back(self._saved.pop())
        self._cache.clear()

    def changes(self):
        # type: () -> List[Tuple[str, str, str]]
        """(path, text before, text after) of every file whose content changed; '' where there was or is none."""
        first = {}  # type: Dict[str, Saved]
        for saved in self._saved:
            if saved.link is None and (saved.content is not None or saved.mode is None):
                first.setdefault(saved.path, saved)
        result = []
        for path, saved in sorted(first.items()):
            before = (saved.content or b"").decode("utf-8", "replace")
            after = self.read(path) or ""
            if before != after:
                result.append((path, before, after))
        return result

    def _put_back(self, saved):
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
            _replace(real, saved.content, saved.mode, (saved.uid, saved.gid))
            self._restore_label(saved.path)
        else:
            os.chown(real, saved.uid, saved.gid)
            os.chmod(real, saved.mode)

    def _make_directory(self, path):
        # type: (str) -> None
        if not os.path.isdir(path):
            os.makedirs(path, 0o755)

    def _restore_label(self, path):
        # type: (str) -> None
        """Give the new file the label that SELinux's policy has for it."""
        if not self.root and os.path.exists("/sys/fs/selinux/enforce"):
            self.run(["restorecon", path])


def _replace(target, content, mode, owner):
    # type: (str, bytes, int, Optional[Tuple[int, int]]) -> None
    """The file with this content, mode and owner (uid, gid), by one rename: never half of it."""
    handle, temporary = tempfile.mkstemp(prefix=".hardening-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if owner is not None:
            os.chown(temporary, owner[0], owner[1])
        os.chmod(temporary, mode)
        os.rename(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def user_name(uid):
    # type: (int) -> str
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "%d" % uid


def group_name(gid):
    # type: (int) -> str
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return "%d" % gid
