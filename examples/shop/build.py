#!/usr/bin/env python3
"""Builds a release of the sample shop: a gzipped tar that is the same bytes every time, and its sha256.

    examples/shop/build.py --kind nodejs --version 1.0.0 --out build/shop

Prints the checksum; writes shop-<kind>-<version>.tar.gz and the same name with .sha256 added. Kind java needs javac, kind gunicorn fetches
the wheels of its lock file from PyPI.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINDS = {"nodejs": ["server.js"], "python": ["server.py"], "gunicorn": ["app.py", "requirements.lock"], "java": []}
"""A kind's files in its folder; what is made of them is added by `made`."""
WHEELS = HERE.parents[1] / "build" / "wheels"
TOOL_SECONDS = 120
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}")


def contents(kind: str, version: str) -> dict[str, bytes]:
    """Files of a release by name."""
    return {
        "VERSION": f"{version}\n".encode(),
        "page.html": (HERE / "common" / "page.html").read_bytes(),
        **{name: (HERE / kind / name).read_bytes() for name in KINDS[kind]},
        **MADE.get(kind, dict)(),
    }


def wheels() -> dict[str, bytes]:
    """What the lock file lists, as wheels: the host needs no package index. Those of an earlier time are taken without one, too."""
    lock = HERE / "gunicorn" / "requirements.lock"
    stamp = WHEELS / "requirements.lock"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        shutil.rmtree(WHEELS, ignore_errors=True)
        tool([*pip, "--only-binary=:all:", "--require-hashes", "--requirement", str(lock), "--dest", str(WHEELS)])
        shutil.copyfile(lock, stamp)
    return {f"wheels/{path.name}": path.read_bytes() for path in WHEELS.glob("*.whl")}


def jar() -> dict[str, bytes]:
    """Shop.java as app.jar, without time in it."""
    compiler = shutil.which("javac")
    if compiler is None:
        sys.exit("build.py: kind java needs javac: install a JDK, 17 or newer (Debian: default-jdk-headless).")
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        tool([compiler, "--release", "17", "-encoding", "UTF-8", "-d", folder, str(HERE / "java" / "Shop.java")])
        members = {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\nMain-Class: Shop\r\n\r\n"}
        members.update({path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.class"))})
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return {"app.jar": packed.getvalue()}


MADE = {"gunicorn": wheels, "java": jar}


def tool(argv: list[str]) -> None:
    """Runs a program; ends with its own words when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    if done.returncode != 0:
        sys.exit(f"build.py: {' '.join(argv)} failed:\n{done.stderr or done.stdout}")


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
