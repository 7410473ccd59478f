"""Imported images: real container images as base images of the lab, kept in the cache by name and digest."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import import_finish, import_packages, import_source
from lab.errors import LabError
from lab.import_packages import Repositories
from lab.import_source import Source
from lab.settings import OperatingSystem, Settings
from lab.standin.cache import build_once, digest, remove_tree
from lab.standin.keys import signing_key

Progress = Callable[[str], None]
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
RECORD = "image.json"
RECIPE = sorted(Path(__file__).parent.glob("import*.py"))


@dataclass(frozen=True)
class Imported:
    """One image in the cache."""

    name: str
    os: OperatingSystem
    release: str
    """What it calls itself."""
    source: str
    digest: str
    """Of the container image."""
    imported: str
    """UTC, ISO 8601."""
    lacking: list[str] = field(default_factory=list)
    """What the roles install and its repositories did not have."""
    folder: Path = Path()

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def repository(self) -> Path:
        return self.folder / "repository"


def folder_of(cache: Path) -> Path:
    return cache / "imported"


def every(cache: Path) -> list[Imported]:
    """All imported images, by name, the newest of a name first."""
    found = []
    for file in folder_of(cache).glob(f"[a-z0-9]*/{RECORD}"):
        found.append(Imported(**json.loads(file.read_text()), folder=file.parent))
    return sorted(sorted(found, key=lambda image: image.imported, reverse=True), key=lambda image: image.name)


def find(cache: Path, name: str) -> Imported:
    """The newest image of a name, or the one of a directory's name. Raises LabError that names those that there are."""
    for image in every(cache):
        if name in (image.name, image.folder.name):
            return image
    known = ", ".join(dict.fromkeys(image.name for image in every(cache))) or "none"
    raise LabError(
        f"There is no imported image {name!r}", hint=f"Imported: {known}. Import one: `lab image import docker://…`."
    )


def chosen(settings: Settings) -> dict[OperatingSystem, Imported]:
    """The images that LAB_BASE names, by operating system. Raises LabError for two of one, and for one that the lab is not to have."""
    taken: dict[OperatingSystem, Imported] = {}
    for name in settings.bases:
        image = find(settings.cache, name)
        if image.os in taken:
            raise LabError(
                f"LAB_BASE names two images of {image.os}: {taken[image.os].name}, {name}", hint="Name one of each."
            )
        if image.os not in settings.oses:
            raise LabError(
                f"LAB_BASE names {name}, an image of {image.os}; this lab is to have {', '.join(settings.oses)}",
                hint=f"Set LAB_OS={image.os} or both, or unset LAB_BASE.",
            )
        taken[image.os] = image
    return taken


def default_name(reference: str) -> str:
    """`docker://public.ecr.aws/amazonlinux/amazonlinux:2023` → `amazonlinux-2023`, `oci:/tmp/layout` → `layout`."""
    last = re.split(r"[/@]", reference.partition(":")[2].split("@")[0].rstrip("/"))[-1]
    name = re.sub(r"[^a-z0-9.-]+", "-", last.lower()).strip("-.")[:40]
    return name or "image"


def import_image(
    settings: Settings, reference: str, name: str, repositories: Repositories, progress: Progress
) -> Imported:
    """Makes a base image of a container image, or takes the one that was made of the same before.

    Raises LabError; then nothing of it is left in the cache."""
    if not NAME.fullmatch(name):
        raise LabError(
            f"The image's name is {name!r}", hint="It takes up to 41 lower-case letters, digits, dots and dashes."
        )
    repositories.check()
    import_source.require_tools()
    progress(f"looking at {reference}")
    source = import_source.look(reference)
    key = signing_key(settings.cache)
    lists = json.dumps([import_packages.NEEDED, import_packages.ALSO, import_packages.OF_ROLES])
    parts: list[str | bytes | Path] = [source.digest, repositories.text(), lists, key.public, *RECIPE]

    def make(folder: Path) -> None:
        progress(f"pulling {source.size // 1024**2} MiB" if source.size else "pulling")
        record = _make(folder, settings.cache, source, repositories, progress)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        (folder / RECORD).write_text(json.dumps({**record, "name": name, "imported": now}, indent=1))

    made = build_once(folder_of(settings.cache), name, digest(parts), make)
    return find(settings.cache, made.name)


def _make(folder: Path, cache: Path, source: Source, repositories: Repositories, progress: Progress) -> dict[str, Any]:
    """Fills `folder` with the root and the repository; returns what there is to say of them."""
    import_source.require_room(source, folder)
    work = folder / "work"
    downloaded = work / "downloaded"
    downloaded.mkdir(parents=True)
    import_source.pull(source, work / "layout")
    progress("unpacking its layers")
    root = import_source.unpack(source, work / "layout", work / "bundle")
    system, release = import_source.identify(source.reference, root)
    with import_packages.package_manager(root, repositories) as words:
        progress(f"{release}: installing what a machine needs by {words[0]}")
        import_packages.install(root, words, system)
        progress("downloading what the roles install")
        lacking = import_packages.download(root, words, system, downloaded)
    progress("making it a machine of the lab")
    key = signing_key(cache)
    packages = import_finish.agents(system, cache, key, work / "agents", progress)
    import_finish.make_machine(root, system, packages, key)
    import_finish.make_repository(folder / "repository", downloaded, packages, system, root)
    root.rename(folder / "root")
    (folder / "root").chmod(0o755)
    remove_tree(work)
    return {"os": system, "release": release, "source": source.reference, "digest": source.digest, "lacking": lacking}


def remove(settings: Settings, name: str) -> list[str]:
    """Removes all images of a name, or one by its directory's name; returns their directories' names. Refuses one that a lab uses."""
    find(settings.cache, name)
    gone = [image for image in every(settings.cache) if name in (image.name, image.folder.name)]
    for image in gone:
        users = _users(settings, image)
        if users:
            raise LabError(
                f"The image {image.folder.name} is in use: {users[0]}",
                hint="Run `lab down` with that lab's LAB_NAME first.",
            )
    for image in gone:
        # By one rename it is no image any more; a removal that is killed leaves what the next one finishes.
        doomed = image.folder.with_name(f".removed-{image.folder.name}-{time.time_ns()}")
        image.folder.rename(doomed)
    for doomed in folder_of(settings.cache).glob(".removed-*"):
        shutil.rmtree(doomed)
    return [image.folder.name for image in gone]


def _users(settings: Settings, image: Imported) -> list[str]:
    """The labs that have it as a base image, and the processes that see it mounted."""
    states = {settings.state, *Path("/var/lib/ecommerce-fleet").glob("*")}
    files = [state / "images/bases.json" for state in states]
    labs = [f"lab in {file.parents[1]}" for file in files if file.is_file() and str(image.root) in file.read_text()]
    machines = []
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if f"{image.root}" in mounts.read_text(errors="replace"):
                machines.append(f"process {mounts.parent.name}")
        except OSError:
            continue
    return labs + machines
