"""The imported images in the cache, by name and digest: list, find, choose, remove."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.settings import OperatingSystem, Settings

RECORD = "image.json"


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
