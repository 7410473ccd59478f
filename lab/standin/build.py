"""The stand-in's two products, each built once and then taken from the cache: a base root file system and a signed package repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from lab.errors import LabError
from lab.run import run
from lab.standin import amazon, debian
from lab.standin.cache import build_once, digest, remove_tree
from lab.standin.debian import Debian
from lab.standin.keys import signing_key
from lab.standin.packages import load_packages
from lab.standin.repository import build_repository, switch_state
from lab.standin.userland import fill_database

System = Literal["al2", "al2023"]
HERE = Path(__file__).parent
Progress = Callable[[str], None]


def base_image(os: System, cache: Path, progress: Progress) -> Path:
    """The root directory of the stand-in for `os`. Read-only use: put an overlay over it. First build of both about a minute, then milliseconds.

    Raises LabError (no root, missing tools, package sources out of reach, disk full) with what to do next.
    """
    packages_root = repository(os, cache, progress)
    recipe = [HERE / "files/common", HERE / f"files/{os}", HERE / "amazon.py", HERE / "userland.py", HERE / "userland.toml", HERE / "rpms.py"]

    def make(folder: Path) -> None:
        source = _programs(cache, progress)
        progress(f"making the {os} stand-in")
        root, work = folder / "root", folder / "work"
        work.mkdir()
        run(["cp", "-a", "--reflink=auto", source.root, root], timeout=300)
        taken = set(source.matching([name for package in preinstalled for name in package.debian])) & set(debian.package_files(source.root))
        owned = debian.package_files(source.root)
        recipe_paths = amazon.make_amazon(os, root, signing_key(cache).public, owned)
        progress(f"entering the {os} stand-in's files into its rpm database")
        fill_database(os, root, source, taken, recipe_paths, work)
        amazon.install(root, [next((packages_root / "packages").glob(f"{p.name}-[0-9]*-{p.released(os)}.*.rpm")) for p in preinstalled])
        remove_tree(work)

    preinstalled = [package for package in load_packages(os) if os in package.preinstalled]
    return build_once(cache / "base", os, digest([packages_root.name, *recipe]), make) / "root"


def repository(os: System, cache: Path, progress: Progress) -> Path:
    """The directory that is served at `http://10.0.0.1:8080/<os>/`: signed repositories of the packages that the stand-in can install.

    The cache's copy is shared by all labs of this machine; a lab that publishes advisories serves a `lab_repository` of its own.
    """
    if os not in get_args(System):
        raise LabError(f"there is no stand-in for '{os}'", hint=f"use one of: {', '.join(get_args(System))}")
    debian.need_tools("mmdebstrap", "apt-get", "dpkg-deb", "rpmbuild", "rpmsign", "createrepo_c", "modifyrepo_c", "gpg")
    key = signing_key(cache)
    sources = [HERE / name for name in ("packages", "agents", "packages.py", "repository.py", "rpms.py")]

    def make(folder: Path) -> None:
        build_repository(os, load_packages(os), _programs(cache, progress), key, folder, progress)

    return build_once(cache / "repository", os, digest([os, key.public, debian.recipe(), *sources]), make)


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


def _programs(cache: Path, progress: Progress) -> Debian:
    """The Debian packages that both releases' RPMs are made of."""
    packages = [*load_packages("al2"), *load_packages("al2023")]
    names = sorted({name for package in packages for name in package.debian if "*" not in name})
    return debian.debian_packages(cache, names, progress)
