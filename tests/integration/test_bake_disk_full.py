"""The disk fills up while an image is baked: Packer fails and leaves nothing that somebody could launch or would pay for."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.image_lab import EAST, NOTHING, WEST, ImageLab

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[ImageLab]:
    """A lab whose files lie on a file system of so many MiB. pytest's own folders have names that are too long for ssh's sockets."""
    disk = Path(tempfile.mkdtemp(prefix="lab-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "small", str(disk)], check=True, timeout=10)
    made = ImageLab("full", "al2023", state=disk / "state")
    try:
        made.up()
        yield made
    finally:
        made.lab("down", timeout=120)
        subprocess.run(["umount", str(disk)], check=True, timeout=10)
        disk.rmdir()


# A baked machine writes about 60 MiB, each image takes as much again, and the lab keeps 64 MiB free when it stores one.
@pytest.mark.parametrize(
    ("lab", "message"),
    [
        pytest.param(24, "more space needed on the / filesystem", id="while packages are installed"),
        pytest.param(150, "Error waiting for AMI", id="while the image is stored"),
        pytest.param(200, "rror waiting for AMI", id="while the image is copied"),
    ],
    indirect=["lab"],
)
def test_packer_fails_and_leaves_no_image_host_key_or_group(lab: ImageLab, message: str, tmp_path: Path) -> None:
    done = lab.bake(lab.publish_release(tmp_path))
    assert done.returncode != 0
    assert message in done.stdout
    assert [image for region in (EAST, WEST) for image in lab.images(region) if image["State"] != "failed"] == []
    assert lab.leftovers() == NOTHING
