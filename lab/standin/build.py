"""The stand-in's two products, each built once and then taken from the cache: a base root file system and a signed package repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from lab.errors import LabError
from lab.run import run
from lab.standin import amazon, debian
from lab.standin.cache import build_once, digest
from lab.standin.keys import signing_key

System = Literal["al2", "al2023"]
HERE = Path(__file__).parent
Progress = Callable[[str], None]


def base_image(os: System, cache: Path, progress: Progress) -> Path:
    """The root directory of the stand-in for `os`. Read-only use. First build about 45 s for both on two cores, then milliseconds.

    Raises LabError (no root, missing tools, package sources out of reach, disk full) with what to do next.
    """
    _known(os)
    key = signing_key(cache)
    recipe = [HERE / "files/common", HERE / f"files/{os}", HERE / "amazon.py", HERE / "debian.py"]

    def make(folder: Path) -> None:
        source = debian.debian_root(cache, progress)
        progress(f"making the {os} stand-in")
        root = folder / "root"
        run(["cp", "-a", "--reflink=auto", source, root], timeout=300)
        amazon.make_amazon(os, root, key.public, debian.package_files(source))

    return build_once(cache / "base", os, digest([os, key.public, debian.recipe(), *recipe]), make) / "root"


def _known(os: str) -> None:
    if os not in get_args(System):
        raise LabError(f"there is no stand-in for '{os}'", hint=f"use one of: {', '.join(get_args(System))}")
