"""The rpm database of a base image: every file of the root belongs to a package with its Amazon Linux name, so dependencies are real."""

from __future__ import annotations

import os
import shutil
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lab.run import run
from lab.standin import rpms
from lab.standin.debian import Debian
from lab.standin.packages import DIST, rpm_version
from lab.standin.rpms import Section

NAMES = Path(__file__).with_name("userland.toml")
OTHER_FILES = "standin-userland"
RELEASE_VERSION = {"al2": "2", "al2023": "2023.9.20260105"}
NOT_PACKAGED = [
    "dev", "proc", "sys", "run", "tmp", "home", "root", "var/log", "var/cache", "var/lib/rpm", "var/lib/dnf", "etc/machine-id",
]  # fmt: skip
NOT_PACKAGED_NAMES = {"__pycache__"}


@dataclass(frozen=True)
class Userland:
    """A root to describe. `taken`: Debian packages that the repository packages anew, left out here; `recipe`: paths laid down."""

    system: str
    root: Path
    debian: Debian
    taken: set[str]
    recipe: set[str]


def fill_database(land: Userland, work: Path) -> None:
    """Makes packages of all files of the root and enters them into its rpm database; nothing is installed anew."""
    names = tomllib.loads(NAMES.read_text())
    root = land.root
    owners = _owners(names, land)
    files, folders = _contents(root, {path for name in land.taken for path, _ in land.debian.files(name)})
    by_package: dict[str, list[Path]] = {}
    for path in files:
        by_package.setdefault(owners.get(f"/{path.relative_to(root)}", OTHER_FILES), []).append(path)
    sections = [_section(land, names, name, paths) for name, paths in sorted(by_package.items())]
    sections.sort(key=lambda section: section.name != OTHER_FILES)  # rpm builds the first as the main package
    sections.append(_filesystem(land, folders))
    copy = work / "root"
    run(["cp", "-al", root, copy], timeout=120)
    rpms.build(rpms.spec(sections, payload="w.ufdio"), copy, work / "build", work / "rpms")
    inside = root / "var/tmp/standin"
    shutil.move(work / "rpms", inside)
    shutil.rmtree(copy)
    command = "rpm --initdb && rpm -i --justdb --nodeps --noscripts --nosignature /var/tmp/standin/*.rpm"
    run(["chroot", root, "bash", "-c", command], timeout=300)
    shutil.rmtree(inside)


def _owners(names: dict[str, Any], land: Userland) -> dict[str, str]:
    owners: dict[str, str] = {}
    for name, parts in names["debian"].items():
        for part in parts:
            if part not in land.taken:
                owners.update((path, name) for path, _ in land.debian.files(part))
    for path in land.recipe:
        matching = [
            name
            for name, patterns in names["recipe"].items()
            if any(fnmatchcase(path, pattern) for pattern in patterns)
        ]
        owners[path] = matching[0] if matching else "system-release"
    return owners


def _contents(root: Path, left_out: set[str]) -> tuple[list[Path], list[Path]]:
    """The files and links of `root` that packages own, and its directories."""
    files, folders = [], []
    for place, below, here in os.walk(root):
        inside = str(Path(place).relative_to(root))
        below[:] = [
            name
            for name in below
            if f"{inside}/{name}".removeprefix("./") not in NOT_PACKAGED and name not in NOT_PACKAGED_NAMES
        ]
        links = [name for name in below if (Path(place) / name).is_symlink()]
        folders.append(Path(place))
        for name in (*here, *links):
            relative = f"{inside}/{name}".removeprefix("./")
            if relative not in NOT_PACKAGED and f"/{relative}" not in left_out:
                files.append(Path(place) / name)
    return sorted(files), [folder for folder in sorted(folders) if folder != root]


def _section(land: Userland, names: dict[str, Any], name: str, paths: list[Path]) -> Section:
    parts = names["debian"].get(name, [])
    version = rpm_version(land.debian.version(parts[0])) if parts else RELEASE_VERSION[land.system]
    provides = [*names["provides"].get(name, []), *rpms.elf_dependencies("provides", paths)]
    if name == "system-release":
        provides += [
            f"system-release(releasever) = {RELEASE_VERSION[land.system]}",
            f"redhat-release = {RELEASE_VERSION[land.system]}",
        ]
    return Section(
        name=name,
        version=version,
        release=f"1.{DIST[land.system]}",
        summary=f"{name}, from Debian: {', '.join(parts)}" if parts else f"{name} of the Amazon Linux stand-in",
        license="see Debian's copyright files",
        files=tuple(_line(land.root, path) for path in paths),
        requires=rpms.elf_dependencies("requires", paths),
        provides=tuple(dict.fromkeys(provides)),
    )


def _filesystem(land: Userland, folders: list[Path]) -> Section:
    files = tuple(_line(land.root, folder) for folder in folders)
    return Section("filesystem", "3.14", f"1.{DIST[land.system]}", "The basic directory layout", "Public Domain", files)


def _line(root: Path, path: Path) -> str:
    """The file's line, its owner by the root's own names (not this machine's)."""
    status = path.lstat()
    users, groups = _names(root, "passwd"), _names(root, "group")
    config = str(path.relative_to(root)).startswith("etc/") and path.is_file() and not path.is_symlink()
    owner = f"- {users.get(status.st_uid, 'root')} {groups.get(status.st_gid, 'root')}"
    return rpms.file_line(root, path, owner, config=config)


def _names(root: Path, database: str) -> dict[int, str]:
    lines = (root / "etc" / database).read_text().splitlines()
    return {int(line.split(":")[2]): line.split(":")[0] for line in lines}
