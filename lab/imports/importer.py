"""Makes a base image of the lab of a container image: pulled, unpacked, completed with packages, made a machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.imports import catalog, finish, packages, source
from lab.imports.catalog import RECORD, Imported
from lab.imports.packages import Repositories
from lab.imports.source import Source
from lab.settings import Settings
from lab.standin.authority import root_certificate
from lab.standin.cache import build_once, digest, remove_tree
from lab.standin.keys import signing_key

Progress = Callable[[str], None]
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
RECIPE = sorted(Path(__file__).parent.glob("*.py"))


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
    source.require_tools()
    progress(f"looking at {reference}")
    image = source.look(reference)
    key, trusted = signing_key(settings.cache), root_certificate(settings.cache)
    lists = json.dumps([packages.NEEDED, packages.ALSO, packages.OF_ROLES])
    parts: list[str | bytes | Path] = [image.digest, repositories.text(), lists, key.public, trusted, *RECIPE]

    def make(folder: Path) -> None:
        progress(f"pulling {image.size // 1024**2} MiB" if image.size else "pulling")
        record = _make(folder, settings.cache, image, repositories, progress)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        (folder / RECORD).write_text(json.dumps({**record, "name": name, "imported": now}, indent=1))

    made = build_once(catalog.folder_of(settings.cache), name, digest(parts), make)
    return catalog.find(settings.cache, made.name)


def _make(folder: Path, cache: Path, image: Source, repositories: Repositories, progress: Progress) -> dict[str, Any]:
    """Fills `folder` with the root and the repository; returns their record."""
    source.require_room(image, folder)
    work = folder / "work"
    downloaded = work / "downloaded"
    downloaded.mkdir(parents=True)
    source.pull(image, work / "layout")
    progress("unpacking its layers")
    root = source.unpack(image, work / "layout", work / "bundle")
    system, release = source.identify(image.reference, root)
    with packages.package_manager(root, repositories) as words:
        progress(f"{release}: installing what a machine needs by {words[0]}")
        packages.install(root, words, system)
        progress("downloading what the roles install")
        lacking = packages.download(root, words, system, downloaded)
    progress("making it a machine of the lab")
    progress(finish.CLOUD_INIT)
    key = signing_key(cache)
    agents = finish.agents(system, cache, key, work / "agents", progress)
    finish.make_machine(root, system, agents, key, root_certificate(cache))
    finish.make_repository(folder / "repository", downloaded, agents, system, root)
    root.rename(folder / "root")
    (folder / "root").chmod(0o755)
    remove_tree(work)
    return {"os": system, "release": release, "source": image.reference, "digest": image.digest, "lacking": lacking}
