"""Directories that are built once and kept: named by a digest of what they are made of, there in whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.modes import usual_umask

BUILDING = ".building-"
KEEP_UNUSED_SECONDS = 14 * 24 * 3600
"""How long a superseded directory stays: a lab that still runs may have it mounted."""


def digest(parts: Iterable[str | bytes | Path]) -> str:
    """A short digest of texts, and of the names, modes, link targets and contents of files and trees."""
    total = hashlib.sha256()
    for part in parts:
        files = sorted([part, *part.rglob("*")]) if isinstance(part, Path) else []
        for file in files:
            if file.name == "__pycache__" or file.suffix == ".pyc" or (file.is_dir() and not file.is_symlink()):
                continue
            content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
            name = str(file.relative_to(part)) if isinstance(part, Path) else ""
            total.update(f"{name} {file.lstat().st_mode & 0o111:o} {len(content)}\0".encode() + content)
        if not isinstance(part, Path):
            total.update(part.encode() if isinstance(part, str) else part)
        total.update(b"\0")
    return total.hexdigest()[:12]


def build_once(folder: Path, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """`folder`/`name`-`key`: taken as it is when there, else made by `make(directory)` and put in place by one rename.

    A process that dies half-way leaves only a directory that the next call removes. Two processes build one after the other.
    Raises LabError for a full disk and for a folder that can't be written.
    """
    target = folder / f"{name}-{key}"
    if target.is_dir():
        os.utime(target)
        return target
    try:
        with locked(folder / f".{name}.lock"):
            if not target.is_dir():
                with usual_umask(), building_folder(folder, name) as building:
                    make(building)
                    building.rename(target)
                _remove_superseded(folder, name, target)
    except OSError as error:
        raise _explained(error, target) from error
    return target


@contextmanager
def building_folder(folder: Path, name: str) -> Iterator[Path]:
    """A new directory `folder`/.building-`name`-<pid>, removed at the end unless renamed; those of killed processes are removed first.

    The caller holds the lock of `name`.
    """
    for stale in folder.glob(f"{BUILDING}{name}-*"):
        remove_tree(stale)
    building = folder / f"{BUILDING}{name}-{os.getpid()}"
    building.mkdir()
    try:
        yield building
    finally:
        if building.exists():
            remove_tree(building)


def remove_tree(path: Path) -> None:
    """Removes a root file system, unless something is mounted in it: a mount's content would go too."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [point for point in mounted if point.startswith(f"{path}/")]
    if inside:
        raise LabError(f"removing {path}: {inside[0]} is mounted in it", hint=f"umount {inside[0]} and try again")
    shutil.rmtree(path)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Takes an exclusive lock on `file` (made when missing, with its directory): between processes and between threads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _remove_superseded(folder: Path, name: str, current: Path) -> None:
    for old in folder.glob(f"{name}-????????????"):
        if old != current and time.time() - old.stat().st_mtime > KEEP_UNUSED_SECONDS:
            remove_tree(old)


def _explained(error: OSError, target: Path) -> LabError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"free about 2 GiB on the disk of {target.parent}, or set LAB_CACHE to a folder on another disk, and run this again"
        return LabError(f"building {target}: no space left on the disk", hint=hint)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return LabError(
            f"building {target}: {error}", hint="run as root, or set LAB_CACHE to a folder that can be written"
        )
    return LabError(f"building {target}: {error}", hint="see the message; nothing half-made was left behind")
