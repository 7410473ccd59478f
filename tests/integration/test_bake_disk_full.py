"""The disk fills up while an image is baked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.images import EAST, NOTHING, WEST, ImageLab

pytestmark = pytest.mark.lab
SIZE_MIB = 24


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ImageLab]:
    """A lab whose files lie on a file system of a few MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "small", str(disk)], check=True, timeout=10)
    made = ImageLab("full", "al2023", state=disk / "state")
    try:
        made.up()
        yield made
    finally:
        made.lab("down", timeout=120)
        subprocess.run(["umount", str(disk)], check=True, timeout=10)


def test_packer_fails_and_leaves_no_image_host_key_or_group(lab: ImageLab, tmp_path: Path) -> None:
    done = lab.bake(lab.publish_release(tmp_path))
    assert done.returncode != 0
    assert "No space left on device" in done.stdout
    assert lab.images(EAST) == lab.images(WEST) == []
    assert lab.leftovers() == NOTHING
