"""Directories that lie on each other as one file system (overlayfs): mount options, and copies that keep its marks for deleted files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.run import run

LONGEST_OPTIONS = 4000
"""The kernel takes one page of mount options."""
ROOM_TO_SPARE = 64 * 1024**2
"""Bytes that stay free on the disk whatever is copied."""


def overlay_options(lower: Sequence[Path], upper: Path, work: Path) -> str:
    """Options for `mount -t overlay`. Each layer stays readable by itself (no redirects, no metadata-only copies)."""
    options = ",".join(
        [
            "lowerdir=" + ":".join(map(str, lower)),
            f"upperdir={upper}",
            f"workdir={work}",
            "redirect_dir=off",
            "metacopy=off",
            "index=off",
        ]
    )
    if len(options) > LONGEST_OPTIONS:
        raise LabError(
            f"{len(lower)} layers are too many for one root file system",
            hint="An image was made of a machine of an image … too often; start again from a base image.",
        )
    return options


def size(directory: Path) -> int:
    """Bytes on disk."""
    return int(run(["du", "-s", "--block-size=1", directory], timeout=120).stdout.split()[0])


def copy(source: Path, target: Path) -> None:
    """Copies one layer with owners, times and extended attributes. `target` appears only when it is complete.

    Raises LabError, and leaves nothing behind, when there is no room.
    """
    needed, free = size(source), shutil.disk_usage(target.parent).free
    if needed + ROOM_TO_SPARE > free:
        raise LabError(
            f"Cannot copy {source} to {target.parent}: it needs {needed // 1024**2} MiB and {free // 1024**2} MiB are free "
            f"({ROOM_TO_SPARE // 1024**2} MiB stay free)",
            hint="Free some disk space, or put the lab's state on another disk: `lab down`, then LAB_STATE=/other/disk lab up.",
        )
    partial = target.with_name(target.name + ".partial")
    try:
        _rsync(source, partial)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _rsync(source: Path, target: Path) -> None:
    """Copies a directory that may be in use: files that vanish meanwhile (exit code 24) are no error."""
    keep = ["--archive", "--hard-links", "--acls", "--xattrs", "--numeric-ids"]
    done = run(["rsync", *keep, f"{source}/", f"{target}/"], timeout=600, check=False)
    if done.returncode not in (0, 24):
        raise LabError(f"Copying {source} to {target} failed: {done.stderr.strip()[-800:]}")
