"""An OCI layout written by hand: what skopeo and umoci are given instead of a registry."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Layout:
    """`add_layer` in order, then `finish`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs/sha256"
        self.blobs.mkdir(parents=True)
        self.layers: list[dict[str, Any]] = []

    def add_layer(self, tree: Path) -> None:
        """A layer of a directory; `.wh.NAME` in it deletes NAME of the layers below."""
        tar = self.folder / "layer"
        command = [
            "tar",
            "--create",
            "--numeric-owner",
            "--xattrs",
            "--acls",
            f"--file={tar}",
            f"--directory={tree}",
            ".",
        ]
        subprocess.run(command, check=True)
        with tar.open("rb") as stream:
            name = hashlib.file_digest(stream, "sha256").hexdigest()
        tar.rename(self.blobs / name)
        self.layers.append({"mediaType": LAYER, "digest": f"sha256:{name}", "size": (self.blobs / name).stat().st_size})

    def finish(self, *, architecture: str = ARCHITECTURE) -> str:
        """Returns the layout's reference."""
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in self.layers]},
        }
        described = {"mediaType": "application/vnd.oci.image.config.v1+json", **self._blob(config)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": self.layers}
        entry = {
            "mediaType": MANIFEST,
            **self._blob(manifest),
            "annotations": {"org.opencontainers.image.ref.name": "latest"},
        }
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return f"oci:{self.folder}:latest"

    def _blob(self, content: object) -> dict[str, Any]:
        data = json.dumps(content).encode()
        name = hashlib.sha256(data).hexdigest()
        (self.blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}
