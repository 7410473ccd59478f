"""A swap file is made whole, or what was there before is in use. swapon and swapoff are recorded, mkswap is the real one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import survey, swap
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.files import Files
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.swap import SwapError, SwapFile

OTHERS = "UUID=1 / xfs defaults 0 1\n"
HEAD = "Filename Type Size Used Priority\n"


class Host:
    """A kernel that keeps its list of swap in a file, and refuses the n-th start of a program (`mkswap`, `swapon 2`)."""

    def __init__(self, folder: Path, name: str = "swapfile") -> None:
        self.fstab, self.swaps = folder / "fstab", folder / "swaps"
        self.fstab.write_text(OTHERS)
        self.path = folder / name
        self.refuses = ""
        self.starts: list[str] = []
        self.active: dict[str, int] = {}
        self.show()
        self.swap = SwapFile(str(self.path), self.run, str(self.fstab), str(self.swaps))

    def show(self) -> None:
        rows = (
            f"{path} file {size} 0 -2\n".replace(" ", "\\040", path.count(" ")) for path, size in self.active.items()
        )
        self.swaps.write_text(HEAD + "".join(rows))

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        program, path = argv
        self.starts.append(program)
        if self.refuses in (program, f"{program} {self.starts.count(program)}"):
            return 1, "", f"{program}: refused\n"
        if program == "mkswap":
            done = subprocess.run(
                [shutil.which("mkswap") or "/usr/sbin/mkswap", path], capture_output=True, check=False
            )
            return done.returncode, done.stdout.decode(), done.stderr.decode()
        if (program == "swapon") == (path in self.active):
            return 255, "", f"{program}: {path}: it is so already\n"
        if program == "swapon":
            self.active[path] = Path(path).stat().st_size // 1024 - 4
        else:
            del self.active[path]
        self.show()
        return 0, "", ""

    def guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        """As Linux 5.10 and later: a file that is swap now is neither renamed nor removed."""

        def guard(*paths: str) -> None:
            if set(paths) & set(self.active):
                raise OSError(errno.EPERM, "Operation not permitted", paths[0])
            call(*paths)

        return guard

    def state(self) -> tuple[object, ...]:
        """Everything: the files with their sizes, what is on, and fstab."""
        files = {path.name: path.stat().st_size for path in self.path.parent.iterdir() if path != self.swaps}
        return files, dict(self.active), self.fstab.read_bytes()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    for name in ("rename", "unlink"):
        monkeypatch.setattr(os, name, host.guarded(getattr(os, name)))
    return host


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
    assert sorted(path.name for path in host.path.parent.iterdir()) == ["fstab", "swapfile", "swaps"]
    host.swap.remove()
    assert host.swap.is_right(0)
    assert host.state() == ({"fstab": len(OTHERS)}, {}, OTHERS.encode())


@pytest.mark.parametrize("step", ["mkswap", "swapon 1", "swapoff 1", "swapon 2"])
def test_a_step_that_fails_leaves_nothing(host: Host, step: str) -> None:
    before = host.state()
    host.refuses = step
    with pytest.raises(SwapError, match=f"{step.split(maxsplit=1)[0]} .* refused"):
        host.swap.create(1)
    assert host.state() == before


@pytest.mark.parametrize("step", ["mkswap", "swapon 1", "swapoff 1", "swapoff 2", "swapon 2"])
def test_the_swap_in_use_survives_a_change_that_fails_at_any_step(host: Host, step: str) -> None:
    host.swap.create(2)
    before = host.state()
    host.starts, host.refuses = [], step
    with pytest.raises(SwapError, match=f"{step.split(maxsplit=1)[0]} .* refused"):
        host.swap.create(1)
    assert host.state() == before
    assert host.swap.is_right(2)


@pytest.mark.parametrize("change", [lambda swap: swap.create(1), lambda swap: swap.remove()])
def test_an_fstab_that_can_not_be_written_costs_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, change: Callable[[SwapFile], None]
) -> None:
    host.swap.create(2)

    def refuse(*_arguments: object) -> None:
        raise HostError("Cannot write /etc/fstab: Operation not permitted")

    monkeypatch.setattr(Files, "stage", refuse)
    host.fstab.write_text(f"{OTHERS}{host.path} none swap sw 0 0\n")
    before = host.state()
    with pytest.raises(SwapError, match=r"Cannot write /etc/fstab: Operation not permitted$"):
        change(host.swap)
    assert host.state() == before


def test_what_can_not_be_restored_is_named_and_the_rest_is_restored(host: Host) -> None:
    host.swap.create(2)
    before = host.state()
    host.starts, host.refuses = [], "swapoff 2"

    def run(argv: list[str]) -> tuple[int, str, str]:
        if argv == ["swapoff", str(host.path)]:
            host.refuses = "swapon"
            del host.active[argv[1]]
            host.show()
            return 0, "", ""
        return Host.run(host, argv)

    host.swap.run = run
    with pytest.raises(SwapError, match=r"swapon .* refused\. Not everything could be restored: swapon .* refused$"):
        host.swap.create(1)
    assert host.state() == (before[0], {}, before[2])


def test_a_run_that_was_killed_between_two_steps_is_finished_by_the_next(host: Host) -> None:
    host.swap.create(2)
    host.run(["swapoff", str(host.path)])
    host.path.rename(host.swap.aside)
    Path(host.swap.stage).write_bytes(b"half")
    host.swap.create(1)
    assert host.swap.is_right(1)
    assert sorted(path.name for path in host.path.parent.iterdir()) == ["fstab", "swapfile", "swaps"]


def test_a_path_with_blanks_is_one_field_of_fstab(tmp_path: Path) -> None:
    host = Host(tmp_path, "swap of mine")
    host.swap.create(1)
    assert survey.declared_swap(host.fstab.read_text()) == [str(host.path)]
    assert host.swap.is_right(1)
    host.swap.remove()
    assert host.fstab.read_text() == OTHERS


def test_lines_of_fstab_in_any_encoding_stay_as_they_are(host: Host) -> None:
    other = b"# disque ajout\xe9\n//nas/caf\xe9 /mnt cifs ro 0 0\n"
    host.fstab.write_bytes(other)
    host.swap.create(1)
    assert host.fstab.read_bytes().startswith(other)
    host.swap.remove()
    assert host.fstab.read_bytes() == other


def test_a_file_that_would_fill_the_disk_is_refused_before_it_is_written(host: Host) -> None:
    state = os.statvfs(host.path.parent)
    free = state.f_bavail * state.f_frsize // swap.MIB
    with pytest.raises(SwapError, match="must stay free"):
        host.swap.create(free)
    assert not host.path.exists()


ODD_LINES = b"# caf\xe9\x0c\rx\r\nUUID=1 / xfs defaults 0 1\r\n/sw\\303\\244p none swap sw 0 0\n\\777 none swap sw 0 0"


@pytest.mark.parametrize("desired", [True, False])
def test_other_lines_of_fstab_stay_to_the_letter(desired: bool) -> None:
    after = swap.fstab_with(ODD_LINES, "/swapfile", desired)
    assert after == ODD_LINES + b"\n" + (b"/swapfile none swap defaults 0 0\n" if desired else b"")
    assert swap.fstab_with(after, "/swapfile", desired) == after
    assert (
        swap.fstab_with(ODD_LINES, "/sw\u00e4p", False)
        == ODD_LINES.replace(b"/sw\\303\\244p none swap sw 0 0\n", b"") + b"\n"
    )
