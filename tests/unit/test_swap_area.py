"""A swap file is made whole or not at all. swapon and swapoff are recorded, mkswap is the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils import swap_area
from ansible_collections.ecommerce.fleet.plugins.module_utils.swap_area import SwapError, SwapFile

OTHERS = "UUID=1 / xfs defaults 0 1\n"
HEAD = "Filename Type Size Used Priority\n"


class Host:
    """A kernel that keeps its list of swap in a file, and may refuse a command."""

    def __init__(self, folder: Path) -> None:
        self.fstab, self.swaps = folder / "fstab", folder / "swaps"
        self.fstab.write_text(OTHERS)
        self.swaps.write_text(HEAD)
        self.path = folder / "swapfile"
        self.refuses = ""
        self.swap = SwapFile(str(self.path), self.run, str(self.fstab), str(self.swaps))

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        program, path = argv
        if program == self.refuses:
            return 1, "", f"{program}: refused\n"
        if program == "mkswap":
            done = subprocess.run(
                [shutil.which("mkswap") or "/usr/sbin/mkswap", path], capture_output=True, check=False
            )
            return done.returncode, done.stdout.decode(), done.stderr.decode()
        size = Path(path).stat().st_size // 1024 - 4
        self.swaps.write_text(HEAD + (f"{path} file {size} 0 -2\n" if program == "swapon" else ""))
        return 0, "", ""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_swap_file_is_private_formatted_without_holes_declared_and_on(host: Host) -> None:
    host.swap.create(2)
    state = host.path.stat()
    assert (state.st_mode & 0o777, state.st_size, state.st_blocks * 512 >= state.st_size) == (0o600, 2 << 20, True)
    assert host.path.read_bytes()[4086:4096] == b"SWAPSPACE2"
    assert host.fstab.read_text() == f"{OTHERS}{host.path} none swap defaults 0 0\n"
    assert host.swap.is_right(2)
    assert not host.swap.is_right(3)


def test_another_size_replaces_it_and_none_removes_it(host: Host) -> None:
    host.swap.create(2)
    host.swap.create(1)
    assert host.swap.active_mib() == 1
    assert host.fstab.read_text().count("swap defaults") == 1
    host.swap.remove()
    assert host.swap.is_right(0)
    assert not host.path.exists()
    assert host.fstab.read_text() == OTHERS


@pytest.mark.parametrize("program", ["mkswap", "swapon"])
def test_a_step_that_fails_leaves_nothing(host: Host, program: str) -> None:
    host.refuses = program
    with pytest.raises(SwapError, match=f"{program} .* refused"):
        host.swap.create(1)
    assert sorted(path.name for path in host.path.parent.iterdir()) == ["fstab", "swaps"]
    assert host.fstab.read_text() == OTHERS


def test_the_swap_in_use_survives_a_change_that_fails(host: Host) -> None:
    host.swap.create(2)
    host.refuses = "mkswap"
    with pytest.raises(SwapError):
        host.swap.create(1)
    assert host.swap.is_right(2)


def test_a_file_that_would_fill_the_disk_is_refused_before_it_is_written(host: Host) -> None:
    state = os.statvfs(host.path.parent)
    free = state.f_bavail * state.f_frsize // swap_area.MIB
    with pytest.raises(SwapError, match="must stay free"):
        host.swap.create(free)
    assert not host.path.exists()
