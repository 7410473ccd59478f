#!/usr/bin/env python3
"""Builds a release of the sample shop: a gzipped tar that is the same bytes every time, and its sha256.

    examples/shop/build.py --kind nodejs --version 1.0.0 --out build/shop

Prints the checksum; writes shop-<kind>-<version>.tar.gz and the same name with .sha256 added.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINDS = {"nodejs": "server.js", "python": "server.py"}
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}")


def contents(kind: str, version: str) -> dict[str, bytes]:
    """Files of a release by name."""
    server = KINDS[kind]
    return {
        "VERSION": f"{version}\n".encode(),
        "page.html": (HERE / "common" / "page.html").read_bytes(),
        server: (HERE / kind / server).read_bytes(),
    }


def archive(files: dict[str, bytes]) -> bytes:
    """A gzipped tar without time, owner or machine in it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(files[name]), 0o644, 0
            tar.addfile(member, io.BytesIO(files[name]))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as stream:
        stream.write(plain.getvalue())
    return packed.getvalue()


def build(kind: str, version: str, out: Path) -> tuple[Path, str]:
    """Writes the artifact and its checksum file. Returns the artifact's path and its sha256."""
    data = archive(contents(kind, version))
    digest = hashlib.sha256(data).hexdigest()
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"shop-{kind}-{version}.tar.gz"
    path.write_bytes(data)
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return path, digest


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds a release of the sample shop.")
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--version", required=True, help="what the release calls itself")
    parser.add_argument("--out", type=Path, required=True, help="directory for the artifact")
    wanted = parser.parse_args()
    if not VERSION.fullmatch(wanted.version):
        parser.error(f"--version is '{wanted.version}'; it takes letters, digits and . + _ -, 64 at most")
    _path, digest = build(wanted.kind, wanted.version, wanted.out)
    print(digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
