"""The signed RPM repository of a stand-in, and the security update that can be published in it.

`<root>/.current` links to one of two states, `.states/base` and `.states/updated`; the served paths go through it, so one rename switches all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from lab.errors import LabError
from lab.run import run
from lab.standin import rpms
from lab.standin.debian import Debian
from lab.standin.keys import OWNER, SigningKey
from lab.standin.packages import Package, debian_version, scriptlets, stage
from lab.standin.rpms import Section
from lab.standin.userland import RELEASE_VERSION

Progress = Callable[[str], None]
UPDATED_ON = datetime(2026, 1, 15, tzinfo=UTC)
EPOCH = "1767571200"
"""2026-01-05, the day of the stand-in's release: file times in metadata, so that a rebuild gives the same."""


def build_repository(system: str, packages: list[Package], debian: Debian, key: SigningKey, target: Path, progress: Progress) -> None:
    """Builds and signs all packages of `system`, and both states of its repositories, into `target`."""
    work, pool = target / ".work", target / "packages"
    builds = [(package, False) for package in packages] + [(package, True) for package in packages if system in package.updated_by]
    progress(f"building {len(builds)} packages for {system}")

    def one(build: tuple[Package, bool]) -> Path:
        package, update = build
        return build_package(package, system, debian, work / f"{package.name}-{update}", pool, update=update)

    with ThreadPoolExecutor(max_workers=2) as executor:
        made = dict(zip(((package.name, update) for package, update in builds), executor.map(one, builds), strict=True))
    progress(f"signing the packages of {system} and making its repositories")
    rpms.sign(made.values(), key)
    shutil.rmtree(work)
    for state in ("base", "updated"):
        for repository in sorted({package.in_repository(system) for package in packages}):
            here = [package for package in packages if package.in_repository(system) == repository]
            files = [made[package.name, False] for package in here]
            updates = [package for package in here if system in package.updated_by] if state == "updated" else []
            files += [made[package.name, True] for package in updates]
            folder = target / ".states" / state / _place(system, repository)
            _make_metadata(folder, files, [(package, made[package.name, True]) for package in updates], system, key)
        if system == "al2023":
            (target / ".states" / state / "core/latest").symlink_to(RELEASE_VERSION[system])
    (target / ".current").symlink_to(".states/base")
    for top in sorted({package.in_repository(system).split("/")[0] for package in packages}):
        (target / top).symlink_to(f".current/{top}")


def _place(system: str, repository: str) -> str:
    """Where a repository lies: Amazon Linux 2023's are versioned by release."""
    return f"{repository}/{RELEASE_VERSION[system]}" if system == "al2023" else repository


def build_package(package: Package, system: str, debian: Debian, work: Path, target: Path, *, update: bool = False) -> Path:
    """Builds one package; returns the unsigned RPM in `target`."""
    root = work / "root"
    root.mkdir(parents=True)
    stage(package, system, debian, root)
    version = debian_version(package, debian)
    paths = sorted(root.rglob("*"))
    owned = [path for path in paths if not _is_folder(path) or _owns(package, path, root, debian)]
    section = Section(
        name=package.name,
        version=version,
        release=package.released(system, update),
        summary=package.summary,
        license=package.license,
        files=tuple(_line(package, root, path) for path in owned),
        requires=(*package.requires, *rpms.elf_dependencies("requires", paths)),
        provides=(*package.provides, *rpms.elf_dependencies("provides", paths)),
        scriptlets=scriptlets(package),
    )
    noarch = not package.debian
    rpms.build(rpms.spec([section], payload="w3.zstdio", noarch=noarch), root, work / "build", work / "made")
    made = next((work / "made").rglob("*.rpm"))
    target.mkdir(parents=True, exist_ok=True)
    return made.rename(target / made.name)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _owns(package: Package, folder: Path, root: Path, debian: Debian) -> bool:
    """A package owns the directories that it names, and those that only it has."""
    name = f"/{folder.relative_to(root)}"
    shared = (debian.root / name.lstrip("/")).exists() or name.startswith(("/etc/", "/usr/lib/systemd", "/usr/libexec/openssh"))
    return name in package.directories or not shared


def _line(package: Package, root: Path, path: Path) -> str:
    name = f"/{path.relative_to(root)}"
    owner = package.attributes.get(name, "0755 root root" if _is_folder(path) else "- root root")
    config = not path.is_dir() and any(Path(name).match(pattern) for pattern in package.config)
    return rpms.file_line(root, path, owner, config=config)


def _make_metadata(folder: Path, files: Iterable[Path], updates: list[tuple[Package, Path]], system: str, key: SigningKey) -> None:
    (folder / "Packages").mkdir(parents=True)
    for file in files:
        os.link(file, folder / "Packages" / file.name)
    run(["createrepo_c", "--quiet", "--no-database", "--revision", EPOCH, folder], timeout=120)
    if updates:
        info = folder / "updateinfo.xml"
        info.write_text(updateinfo(updates, system))
        run(["modifyrepo_c", "--mdtype=updateinfo", info, folder / "repodata"], timeout=60)
        info.unlink()
    gpg = ["gpg", "--batch", "--homedir", key.home, "--local-user", OWNER, "--armor", "--detach-sign"]
    run([*gpg, folder / "repodata/repomd.xml"], timeout=60)


def updateinfo(updates: list[tuple[Package, Path]], system: str) -> str:
    """The advisories of the updated packages, as in Amazon's updateinfo.xml (one advisory for all packages with the same identifier)."""
    advisories: dict[str, list[str]] = {}
    for package, file in updates:
        version, release, arch = _parts(file)
        entry = f'<package name="{package.name}" version="{version}" release="{release}" epoch="0" arch="{arch}"><filename>Packages/{file.name}</filename>'
        entry += f'<sum type="sha256">{hashlib.sha256(file.read_bytes()).hexdigest()}</sum></package>'
        advisories.setdefault(package.updated_by[system], []).append(entry)
    name = "Amazon Linux 2" if system == "al2" else "Amazon Linux 2023"
    updates_xml = "".join(
        f'<update author="standin" from="standin" status="final" type="security" version="1.4"><id>{advisory}</id>'
        f"<title>{name} - {advisory}: important priority package update</title>"
        f'<issued date="{UPDATED_ON:%Y-%m-%d %H:%M}"/><updated date="{UPDATED_ON:%Y-%m-%d %H:%M}"/><severity>important</severity>'
        "<description>A rebuild that stands in for a security update. It fixes nothing: it shows how one reaches the fleet.</description>"
        f'<references/><pkglist><collection short="{system}"><name>{name}</name>{"".join(entries)}</collection></pkglist></update>'
        for advisory, entries in advisories.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<updates>{updates_xml}</updates>\n'


def _parts(file: Path) -> tuple[str, str, str]:
    version, release = file.name.removesuffix(".rpm").rsplit("-", 2)[1:]
    release, arch = release.rsplit(".", 1)
    return version, release, arch


def switch_state(repository: Path, state: str) -> None:
    """Serves `state` (`base` | `updated`) from now on, by one rename. Raises LabError when `repository` is none."""
    if not (repository / ".states" / state).is_dir():
        raise LabError(f"{repository} is no package repository of the stand-in", hint="build it with `python -m lab.standin --repository al2 al2023`")
    link = repository / f".current-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(f".states/{state}")
    link.rename(repository / ".current")
