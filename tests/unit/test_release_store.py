"""Releases on a host: a wrong checksum, a bad archive and a changed version are refused, and nothing is left behind."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils.release_store import Store, StoreError


def artifact(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o4777
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def add(store: Store, version: str, data: bytes, sha256: str | None = None) -> None:
    store.add(version, sha256 or hashlib.sha256(data).hexdigest(), io.BytesIO(data), f"file:///{version}.tar.gz")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "app"))


def test_a_release_is_unpacked_and_becomes_current_by_a_link(store: Store) -> None:
    add(store, "1.0.0", artifact(server="one"))
    store.switch("1.0.0")
    assert store.current == "1.0.0"
    assert (Path(store.link) / "server").read_text() == "one"


def test_a_wrong_checksum_is_refused_and_leaves_nothing(store: Store) -> None:
    data = artifact(server="one")
    with pytest.raises(StoreError) as refusal:
        add(store, "1.0.0", data, "0" * 64)
    assert "0" * 64 in str(refusal.value)
    assert hashlib.sha256(data).hexdigest() in str(refusal.value)
    assert "file:///1.0.0.tar.gz" in str(refusal.value)
    assert list(Path(store.releases).iterdir()) == []


def test_a_file_that_is_no_archive_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="can't be unpacked"):
        add(store, "1.0.0", b"<html>not found</html>")
    assert list(Path(store.releases).iterdir()) == []


@pytest.mark.parametrize("name", ["../escape", "/etc/escape", "a/../../escape"])
def test_an_archive_that_leads_out_of_its_directory_is_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="leads out"):
        add(store, "1.0.0", artifact(**{name: "x"}))


def test_a_link_that_leads_out_is_refused(store: Store) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "../../../etc"
        tar.addfile(member)
    with pytest.raises(StoreError, match="leads out"):
        add(store, "1.0.0", packed.getvalue())


def test_no_file_keeps_a_mode_that_others_may_write_or_that_gives_rights(store: Store) -> None:
    add(store, "1.0.0", artifact(server="one"))
    assert (Path(store.releases) / "1.0.0" / "server").stat().st_mode & 0o7777 == 0o755


def test_a_version_never_changes(store: Store) -> None:
    add(store, "1.0.0", artifact(server="one"))
    with pytest.raises(StoreError, match="A version never changes"):
        store.has("1.0.0", "1" * 64)


def test_an_interrupted_download_does_not_count_as_a_release(store: Store) -> None:
    class Broken(io.BytesIO):
        def read(self, *_size: int | None) -> bytes:
            raise OSError("connection reset")

    with pytest.raises(StoreError, match="can't be fetched: connection reset"):
        store.add("1.0.0", "0" * 64, Broken(), "https://x/y")
    assert not store.has("1.0.0", "0" * 64)
    assert list(Path(store.releases).iterdir()) == []


def test_old_releases_go_but_never_the_protected_ones(store: Store) -> None:
    for version in ("1", "2", "3", "4"):
        add(store, version, artifact(server=version))
        marker = Path(store.releases) / version / ".release.json"
        os.utime(marker, (int(version), int(version)))
    assert store.superfluous(2, ["1"]) == ["2"]
    assert store.superfluous(4, []) == []
