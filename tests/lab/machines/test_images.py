"""The image store: snapshots, copies, what is deleted when, and a full disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machines import layers
from lab.machines.images import ImageStore
from lab.machines.machine import LAYERS_FILE, Machine
from lab.machines.spec import MachineSpec
from lab.settings import Settings

MIB = 1024**2


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    base = tmp_path / "base"
    (base / "etc").mkdir(parents=True)
    (base / "etc/hosts").write_text("127.0.0.1 localhost\n")
    made = ImageStore(Settings("x", tmp_path / "state", tmp_path / "cache"))
    made.set_base("al2", base)
    return made


def stopped_machine(store: ImageStore, files: dict[str, str], name: str = "i-1") -> Machine:
    """A machine that has written files and does not run."""
    machine = Machine(
        store.settings, MachineSpec(name, "10.0.16.9", "0a:00:0a:00:10:09", store.base("al2"), "ip-9.internal")
    )
    for path, text in files.items():
        (machine.upper / path).parent.mkdir(parents=True, exist_ok=True)
        (machine.upper / path).write_text(text)
    return machine


def test_an_unknown_image_is_an_error_that_names_it(store: ImageStore) -> None:
    with pytest.raises(LabError, match="ami-nowhere"):
        store.layers("ami-nowhere")


def test_a_system_without_base_image_is_an_error_that_says_how_to_get_it(store: ImageStore) -> None:
    with pytest.raises(LabError, match="lab up --os al2023"):
        store.base("al2023")


def test_a_snapshot_lies_on_the_layers_of_its_parent(store: ImageStore) -> None:
    store.snapshot("ami-1", stopped_machine(store, {"root/file": "text"}), store.base("al2"))
    top, *below = store.layers("ami-1")
    assert (top / "root/file").read_text() == "text"
    assert tuple(below) == store.base("al2")


def test_a_snapshot_holds_nothing_of_the_lab(store: ImageStore) -> None:
    own = "10.1.1.1 mine\n"
    machine = stopped_machine(
        store,
        {
            "etc/hosts": f"127.0.0.1 localhost\n10.0.16.9 ip-9.internal ip-9 # this machine\n{own}",
            "etc/hostname": "ip-9.internal\n",
        },
    )
    store.snapshot("ami-1", machine, store.base("al2"))
    top = store.layers("ami-1")[0]
    assert (top / "etc/hosts").read_text() == f"127.0.0.1 localhost\n{own}"
    assert not (top / "etc/hostname").exists()


def test_a_copy_survives_the_removal_of_its_source(store: ImageStore) -> None:
    store.snapshot("ami-1", stopped_machine(store, {"root/file": "text"}), store.base("al2"))
    store.copy("ami-1", "ami-2")
    source = store.layers("ami-1")[0]
    assert source != store.layers("ami-2")[0]
    store.remove("ami-1")
    assert not source.exists()
    assert (store.layers("ami-2")[0] / "root/file").read_text() == "text"
    assert store.base("al2")[0].exists()


def test_a_layer_stays_while_a_machine_or_another_image_uses_it(store: ImageStore) -> None:
    store.snapshot("ami-1", stopped_machine(store, {"root/file": "text"}), store.base("al2"))
    layer = store.layers("ami-1")[0]
    store.put("ami-child", store.layers("ami-1"))
    user = store.settings.machines_dir / "i-2"
    user.mkdir(parents=True)
    (user / LAYERS_FILE).write_text(f"{layer}\n")
    store.remove("ami-1")
    store.remove("ami-child")
    assert layer.exists()
    (user / LAYERS_FILE).unlink()
    store.collect()
    assert not layer.exists()


def test_removing_an_unknown_image_changes_nothing(store: ImageStore) -> None:
    store.remove("ami-nowhere")
    assert store.ids() == []


@pytest.mark.lab
def test_deleted_files_stay_deleted_in_a_copied_layer(tmp_path: Path) -> None:
    """overlayfs marks them by a character device 0/0 and an opaque directory by an attribute."""
    (tmp_path / "upper/etc").mkdir(parents=True)
    os.mknod(tmp_path / "upper/etc/gone", 0o020000, os.makedev(0, 0))
    os.setxattr(tmp_path / "upper/etc", "trusted.overlay.opaque", b"y")
    os.chown(tmp_path / "upper/etc", 1234, 4321)
    layers.copy(tmp_path / "upper", tmp_path / "copy")
    copied = tmp_path / "copy/etc"
    assert (copied / "gone").stat().st_rdev == 0
    assert (copied / "gone").is_char_device()
    assert os.getxattr(copied, "trusted.overlay.opaque") == b"y"
    assert (copied.stat().st_uid, copied.stat().st_gid) == (1234, 4321)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for the spare that always stays free and a little more."""
    where = tmp_path / "disk"
    where.mkdir()
    megabytes = layers.ROOM_TO_SPARE // MIB + 12
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", where], check=True)
    yield where
    subprocess.run(["umount", where], check=True)


@pytest.mark.lab
def test_a_full_disk_stops_a_snapshot_before_anything_is_registered(small_disk: Path, tmp_path: Path) -> None:
    store = ImageStore(Settings("x", small_disk / "state", tmp_path / "cache"))
    store.set_base("al2", tmp_path)
    machine = stopped_machine(store, {"root/file": "x" * (8 * MIB)})
    with pytest.raises(LabError, match=r"needs 8 MiB and .* are free") as caught:
        store.snapshot("ami-1", machine, store.base("al2"))
    assert "LAB_STATE" in caught.value.hint
    assert store.ids() == []
    assert list((small_disk / "state/images/layers").iterdir()) == []


@pytest.mark.lab
def test_a_disk_that_fills_up_during_a_copy_leaves_nothing_behind(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "size", lambda directory: 0)  # as if the room had been there when it was asked for
    store = ImageStore(Settings("x", small_disk / "state", tmp_path / "cache"))
    store.set_base("al2", tmp_path)
    big = tmp_path / "big"
    big.mkdir()
    (big / "file").write_bytes(b"x" * (layers.ROOM_TO_SPARE + 20 * MIB))
    machine = stopped_machine(store, {})
    machine.directory.mkdir(parents=True)
    machine.upper.symlink_to(big)
    with pytest.raises(LabError, match="No space left"):
        store.snapshot("ami-1", machine, ())
    assert store.ids() == []
    assert list((small_disk / "state/images/layers").iterdir()) == []
