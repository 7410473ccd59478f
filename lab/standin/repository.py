"""The signed RPM repository of a stand-in, and the security update that can be published in it.

`<root>/.current` links to one of two states, `.states/base` and `.states/updated`. What is served goes through it: one rename switches all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lab.errors import LabError
from lab.run import run
from lab.standin import debian, old, rpms
from lab.standin.cache import building_folder, digest, locked
from lab.standin.debian import Debian
from lab.standin.keys import SigningKey
from lab.standin.packages import Package, python_versions, scriptlets, stage, version_of
from lab.standin.rpms import Section
from lab.standin.userland import RELEASE_VERSION

Progress = Callable[[str], None]
UPDATED_ON = "2026-01-15 00:00"
HERE = Path(__file__).parent
EPOCH = "1767571200"
"""2026-01-05, the day of the stand-in's release: file times in metadata, so that a rebuild gives the same."""


@dataclass(frozen=True)
class Build:
    """One RPM to be had: a package on a system; `update`: the build that the security update brings."""

    package: Package
    system: str
    update: bool

    def digest(self, key: SigningKey) -> str:
        """Of all that the RPM is made of."""
        code = [HERE / name for name in ("packages.py", "rpms.py")]
        if self.system == "al2" and self.package.name in old.packages():
            code.append(old.HERE)
        parts = [str(self.update), debian.recipe(), key.public, *python_versions(self.package)]
        return digest([self.package.folder, self.system, *parts, *code])


def all_builds(system: str, packages: list[Package]) -> list[Build]:
    """The packages of the repositories of `system`."""
    updated = [package for package in packages if system in package.updated_by]
    return [
        *(Build(package, system, False) for package in packages),
        *(Build(package, system, True) for package in updated),
    ]


def signed_packages(
    builds: list[Build], programs: Debian, *, key: SigningKey, cache: Path, progress: Progress
) -> dict[Build, Path]:
    """Each build → its signed RPM in the cache: only those whose parts have changed are built."""
    with locked(cache / ".packages.lock"):
        found = {build: cache / build.digest(key) for build in builds}
        missing = [build for build, folder in found.items() if not folder.is_dir()]
        if missing:
            progress(f"building {len(missing)} packages for {missing[0].system}")
            with building_folder(cache, "packages") as work, ThreadPoolExecutor(max_workers=2) as executor:
                folders = [work / str(number) for number in range(len(missing))]
                made = list(
                    executor.map(lambda build, folder: build_package(build, programs, folder), missing, folders)
                )
                rpms.sign(made, key)
                for build, file in zip(missing, made, strict=True):
                    file.parent.rename(found[build])
        return {build: next(folder.glob("*.rpm")) for build, folder in found.items()}


def build_repository(system: str, made: dict[Build, Path], key: SigningKey, target: Path, progress: Progress) -> None:
    """Lays out both states of the repositories of `system` in `target`."""
    progress(f"making the repositories of {system}")
    names = sorted({build.package.in_repository(system) for build in made})
    for state in ("base", "updated"):
        for name in names:
            here = {build: file for build, file in made.items() if build.package.in_repository(system) == name}
            here = {build: file for build, file in here.items() if state == "updated" or not build.update}
            _make_metadata(target / ".states" / state / _place(system, name), here, key)
        if system == "al2023":
            (target / ".states" / state / "core/latest").symlink_to(RELEASE_VERSION[system])
    (target / ".current").symlink_to(".states/base")
    for top in sorted({name.split("/")[0] for name in names}):
        (target / top).symlink_to(f".current/{top}")


def _place(system: str, repository: str) -> str:
    """Where a repository lies: Amazon Linux 2023's are versioned by release."""
    return f"{repository}/{RELEASE_VERSION[system]}" if system == "al2023" else repository


def build_package(build: Build, programs: Debian, work: Path, payload: str = "w3.zstdio") -> Path:
    """Builds one package; returns the unsigned RPM, alone in its folder below `work`. `payload`: how rpm packs it."""
    package, system = build.package, build.system
    root = work / "root"
    root.mkdir(parents=True)
    stage(package, system, programs, root)
    version = version_of(package, programs)
    paths = sorted(root.rglob("*"))
    owned = [path for path in paths if not _is_folder(path) or _owns(package, path, root, programs)]
    section = Section(
        name=package.name,
        version=version,
        release=package.released(system, build.update),
        summary=package.summary,
        license=package.license,
        files=tuple(_line(package, root, path) for path in owned),
        requires=(*package.requires, *rpms.elf_dependencies("requires", paths)),
        provides=(*package.provides, *rpms.elf_dependencies("provides", paths)),
        scriptlets=scriptlets(package),
    )
    noarch = not package.debian
    rpms.build(rpms.spec([section], payload=payload, noarch=noarch), root, work / "build", work / "made")
    return next((work / "made").rglob("*.rpm"))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _owns(package: Package, folder: Path, root: Path, programs: Debian) -> bool:
    """A package owns the directories that it names, and those that only it has."""
    name = f"/{folder.relative_to(root)}"
    shared = (programs.root / name.lstrip("/")).exists() or name.startswith(
        ("/etc/", "/usr/lib/systemd", "/usr/libexec/openssh")
    )
    return name in package.directories or not shared


def _line(package: Package, root: Path, path: Path) -> str:
    name = f"/{path.relative_to(root)}"
    owner = package.attributes.get(name, "0755 root root" if _is_folder(path) else "- root root")
    config = not path.is_dir() and any(Path(name).match(pattern) for pattern in package.config)
    return rpms.file_line(root, path, owner, config=config)


def _make_metadata(folder: Path, made: dict[Build, Path], key: SigningKey) -> None:
    (folder / "Packages").mkdir(parents=True)
    for file in made.values():
        os.link(file, folder / "Packages" / file.name)
    run(["createrepo_c", "--quiet", "--no-database", "--revision", EPOCH, folder], timeout=120)
    updates = {build: file for build, file in made.items() if build.update}
    if updates:
        info = folder / "updateinfo.xml"
        info.write_text(updateinfo(updates))
        run(["modifyrepo_c", "--mdtype=updateinfo", info, folder / "repodata"], timeout=60)
        info.unlink()
    rpms.sign_detached(folder / "repodata/repomd.xml", key)


def updateinfo(updates: dict[Build, Path]) -> str:
    """The advisories of the updated packages, as in Amazon's updateinfo.xml (one advisory for all packages with the same identifier)."""
    root = ElementTree.Element("updates")
    packages: dict[str, ElementTree.Element] = {}
    for build, file in updates.items():
        advisory = build.package.updated_by[build.system]
        if advisory not in packages:
            packages[advisory] = _advisory(root, advisory, build.system)
        version, release, arch = _parts(file)
        names = {"name": build.package.name, "version": version, "release": release, "epoch": "0", "arch": arch}
        entry = ElementTree.SubElement(packages[advisory], "package", names)
        ElementTree.SubElement(entry, "filename").text = f"Packages/{file.name}"
        ElementTree.SubElement(entry, "sum", {"type": "sha256"}).text = hashlib.sha256(file.read_bytes()).hexdigest()
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _advisory(root: ElementTree.Element, advisory: str, system: str) -> ElementTree.Element:
    """Adds an advisory without packages; returns the collection that takes them."""
    name = "Amazon Linux 2" if system == "al2" else "Amazon Linux 2023"
    attributes = {"author": "standin", "from": "standin", "status": "final", "type": "security", "version": "1.4"}
    update = ElementTree.SubElement(root, "update", attributes)
    ElementTree.SubElement(update, "id").text = advisory
    ElementTree.SubElement(update, "title").text = f"{name} - {advisory}: important priority package update"
    for kind in ("issued", "updated"):
        ElementTree.SubElement(update, kind, {"date": UPDATED_ON})
    ElementTree.SubElement(update, "severity").text = "Important"
    text = "A rebuild in place of a security update: it fixes nothing, it shows how one reaches the fleet."
    ElementTree.SubElement(update, "description").text = text
    ElementTree.SubElement(update, "references")
    collection = ElementTree.SubElement(ElementTree.SubElement(update, "pkglist"), "collection", {"short": system})
    ElementTree.SubElement(collection, "name").text = name
    return collection


def _parts(file: Path) -> tuple[str, str, str]:
    version, release = file.name.removesuffix(".rpm").rsplit("-", 2)[1:]
    release, arch = release.rsplit(".", 1)
    return version, release, arch


def switch_state(repository: Path, state: str) -> None:
    """Serves `state` (`base` | `updated`) from now on, by one rename. Raises LabError when `repository` is none."""
    if not (repository / ".states" / state).is_dir():
        raise LabError(f"{repository} is no package repository of the stand-in", hint="`lab up` makes it")
    link = repository / f".current-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(f".states/{state}")
    link.rename(repository / ".current")
