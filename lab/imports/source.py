"""A container image, from a registry or a file, as a root file system: skopeo brings it, umoci lays its layers on each other."""

from __future__ import annotations

import json
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.run import Completed, run
from lab.settings import OperatingSystem

TOOLS = {
    "skopeo": "skopeo",
    "umoci": "umoci",
    "createrepo_c": "createrepo-c",
    "rpmbuild": "rpm",
    "unshare": "util-linux",
}
"""Program → Debian package."""
TRANSPORTS = ("docker://", "oci:", "oci-archive:", "docker-archive:")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SYSTEMS: dict[str, OperatingSystem] = {"2": "al2", "2023": "al2023"}
"""VERSION_ID of an Amazon Linux → its name in the lab."""
PULL_SECONDS = 1800
ROOM_FOR_PACKAGES = 2 * 1024**3
UNPACKED = 4
"""Layers are compressed; a root file system and what is made of it take several times their size."""
CAUSES = (
    (r"no space left", "the disk is full", "Free about 3 GiB, or set LAB_CACHE to a folder on another disk."),
    (
        r"no such host|dial tcp|i/o timeout|network is unreachable|no route to host|connection refused|tls handshake|proxyconnect",
        "the registry can't be reached",
        "Check the network and the proxy (HTTPS_PROXY), or bring the image as a file: `skopeo copy docker://… oci:DIR` elsewhere, "
        "then `lab image import oci:DIR`.",
    ),
    (
        r"unauthorized|authentication required|denied",
        "the registry refuses access, or has no such image",
        "Check the name; `skopeo login`.",
    ),
    (
        r"manifest unknown|not found|name unknown",
        "there is no such image or tag",
        "Check the name: `skopeo list-tags docker://NAME`.",
    ),
    (
        r"no image found in (manifest list|image index) for architecture",
        f"the image is not made for {platform.machine()}",
        "Take one of this machine's architecture.",
    ),
    (
        r"more than one image|no image found for reference|no descriptor found|references",
        "the layout has several images, or none of this tag",
        "Name the tag: oci:DIR:TAG.",
    ),
    (r"no such file|stat |not a directory|does not exist", "there is nothing at this path", "Check the path."),
)
"""A pattern in the output of skopeo or umoci → what it means, what to do."""


@dataclass(frozen=True)
class Source:
    """A container image that exists and fits this machine. `size`: bytes of its layers as they are pulled; 0 where an index hides it."""

    reference: str
    digest: str
    size: int


def require_tools() -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = " ".join(sorted({TOOLS[tool] for tool in missing}))
        raise LabError(
            f"Importing an image needs {', '.join(missing)}",
            hint=f"Run `make setup`, or: apt-get install --no-install-recommends {packages}",
        )


def look(reference: str) -> Source:
    """Asks what is there before anything is pulled. Raises LabError for a wrong reference, another architecture, no network."""
    if not reference.startswith(TRANSPORTS):
        raise LabError(
            f"{reference!r} is no reference of a container image",
            hint=f"It starts with one of {', '.join(TRANSPORTS)}; for example docker://public.ecr.aws/amazonlinux/amazonlinux:2023.",
        )
    config = json.loads(_output(reference, run(["skopeo", "inspect", "--config", reference], timeout=120, check=False)))
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    if config.get("architecture") != architecture:
        raise LabError(
            f"{reference} is an image for {config.get('architecture')}; this machine runs {architecture}",
            hint="Take the image of this machine's architecture.",
        )
    described = json.loads(_output(reference, run(["skopeo", "inspect", reference], timeout=120, check=False)))
    manifest = json.loads(_output(reference, run(["skopeo", "inspect", "--raw", reference], timeout=120, check=False)))
    return Source(reference, described["Digest"], sum(layer.get("size", 0) for layer in manifest.get("layers", [])))


def require_room(source: Source, folder: Path) -> None:
    """Raises LabError when the image can't fit, before it is pulled."""
    needed, free = source.size * UNPACKED + ROOM_FOR_PACKAGES, shutil.disk_usage(folder).free
    if needed > free:
        raise LabError(
            f"Importing {source.reference} needs about {needed // 1024**2} MiB in {folder}; {free // 1024**2} MiB are free",
            hint="Free some disk space, or set LAB_CACHE to a folder on another disk.",
        )


def pull(source: Source, layout: Path) -> None:
    """Copies the image into an OCI layout."""
    copied = run(
        ["skopeo", "copy", "--quiet", source.reference, f"oci:{layout}:image"], timeout=PULL_SECONDS, check=False
    )
    _output(source.reference, copied)


def unpack(source: Source, layout: Path, bundle: Path) -> Path:
    """The root file system of an image in a layout: what a layer deletes is gone."""
    done = run(["umoci", "unpack", "--image", f"{layout}:image", bundle], timeout=PULL_SECONDS, check=False)
    _output(source.reference, done)
    return bundle / "rootfs"


def identify(reference: str, root: Path) -> tuple[OperatingSystem, str]:
    """(operating system, its name for people) of a root file system. Raises LabError for all but Amazon Linux 2 and 2023."""
    files = [root / "usr/lib/os-release", root / "etc/os-release"]
    text = next((file.read_text() for file in files if file.is_file()), "")
    values = dict(re.findall(r"^(\w+)=[\"']?(.*?)[\"']?$", text, re.MULTILINE))
    system = SYSTEMS.get(values.get("VERSION_ID", "")) if values.get("ID") == "amzn" else None
    if system is None:
        found = values.get("PRETTY_NAME") or "no system with an os-release"
        raise LabError(
            f"{reference} is {found}, not Amazon Linux 2 or 2023",
            hint="Import an image of amazonlinux:2 or amazonlinux:2023.",
        )
    return system, values.get("PRETTY_NAME", system)


def _output(reference: str, done: Completed) -> str:
    """The output of a tool that succeeded; raises LabError with what its failure means."""
    if done.returncode == 0:
        return done.stdout
    output = " ".join(re.findall(r'msg="((?:[^"\\]|\\.)*)"', done.stderr)) or done.stderr.strip()
    for pattern, cause, hint in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            raise LabError(f"{reference}: {cause} ({output[-300:]})", hint=hint)
    raise LabError(f"{reference}: {done.args[0]} {done.args[1]} failed: {output[-600:]}")
