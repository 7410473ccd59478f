"""The stand-in's two products, each built once and then taken from the cache: a base root file system and a signed package repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from lab.errors import LabError
from lab.run import run
from lab.standin import amazon, debian, old
from lab.standin.authority import root_certificate
from lab.standin.cache import build_once, digest, remove_tree
from lab.standin.debian import Debian
from lab.standin.keys import signing_key
from lab.standin.packages import load_packages
from lab.standin.repository import Build, all_builds, build_repository, signed_packages, switch_state
from lab.standin.userland import Userland, fill_database

System = Literal["al2", "al2023"]
HERE = Path(__file__).parent
Progress = Callable[[str], None]


def base_image(os: System, cache: Path, progress: Progress) -> Path:
    """The root directory of the stand-in for `os`, for read-only use under an overlay. First build about a minute, then milliseconds.

    Raises LabError (no root, missing tools, package sources out of reach, disk full) with what to do next.
    """
    _known(os)
    key = signing_key(cache)
    preinstalled = [Build(package, os, update=False) for package in load_packages(os) if os in package.preinstalled]
    trusted = root_certificate(cache)
    parts = [trusted, *(build.digest(key) for build in preinstalled)]
    recipe = [
        HERE / "files/common",
        HERE / f"files/{os}",
        *(HERE / name for name in ("amazon.py", "userland.py", "userland.toml")),
        *([old.HERE] if os == "al2" else []),
    ]

    def make(folder: Path) -> None:
        source = programs(cache, progress)
        packages = signed_packages(preinstalled, source, key=key, cache=cache / "packages", progress=progress)
        progress(f"making the {os} stand-in")
        root, work = folder / "root", folder / "work"
        work.mkdir()
        run(["cp", "-a", "--reflink=auto", source.root, root], timeout=300)
        owned = debian.package_files(source.root)
        laid = amazon.make_amazon(os, root, key.public, trusted, owned)
        progress(f"entering the files of the {os} stand-in into its rpm database")
        taken = set(source.matching([name for build in preinstalled for name in build.package.debian])) & set(owned)
        fill_database(Userland(os, root, source, taken, laid), work)
        amazon.install(root, list(packages.values()))
        remove_tree(work)

    return build_once(cache / "base", os, digest([*parts, *recipe]), make) / "root"


def repository(os: System, cache: Path, progress: Progress) -> Path:
    """The directory that is served at `http://10.0.0.1:8080/<os>/`: signed repositories of the packages that the stand-in can install.

    The cache's copy is shared by all labs of this machine; a lab that publishes advisories serves a `lab_repository` of its own.
    """
    _known(os)
    key = signing_key(cache)
    builds = all_builds(os, load_packages(os))

    def make(folder: Path) -> None:
        source = programs(cache, progress)
        packages = signed_packages(builds, source, key=key, cache=cache / "packages", progress=progress)
        build_repository(os, packages, key, folder, progress)

    parts = [build.digest(key) for build in builds]
    return build_once(cache / "repository", os, digest([*parts, HERE / "repository.py"]), make)


def _known(os: str) -> None:
    if os not in get_args(System):
        raise LabError(f"there is no stand-in for '{os}'", hint=f"use one of: {', '.join(get_args(System))}")
    debian.need_tools("mmdebstrap", "apt-get", "dpkg-deb", "rpmbuild", "rpmsign", "createrepo_c", "modifyrepo_c", "gpg")


def lab_repository(os: System, cache: Path, target: Path, progress: Progress) -> Path:
    """A repository for one lab at `target` (made or renewed), serving the packages of the cache; advisories published in it stay in it."""
    source = repository(os, cache, progress)
    target.mkdir(parents=True, exist_ok=True)
    for link in target.iterdir():
        if link.is_symlink():
            link.unlink()
    (target / ".states").symlink_to(source / ".states")
    for path in source.iterdir():
        if path.is_symlink():
            (target / path.name).symlink_to(path.readlink())
    return target


def publish_advisory(repo_root: Path) -> None:
    """Makes the security update (openssl-libs and nginx) appear in the repositories under `repo_root`, at once."""
    switch_state(repo_root, "updated")


def withdraw_advisory(repo_root: Path) -> None:
    """Takes the security update out again, at once."""
    switch_state(repo_root, "base")


def programs(cache: Path, progress: Progress) -> Debian:
    """The Debian packages that both releases' RPMs are made of."""
    packages = [*load_packages("al2"), *load_packages("al2023")]
    names = sorted({name for package in packages for name in package.debian if "*" not in name})
    return debian.debian_packages(cache, names, progress)
