"""Releases on a host: a wrong checksum, a bad archive and a changed version are refused, and nothing is left behind."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_store import Store


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


def test_releases_go_by_their_deployment_but_never_the_current_one_or_the_one_before(store: Store) -> None:
    for version in ("1", "2", "3", "4"):
        add(store, version, artifact(server=version))
        store.switch(version)
        store.deployed(version, "x", None)
    store.deployed("4", "x", "1")
    assert store.superfluous(2) == ["2"]
    assert store.superfluous(1) == ["2", "3"]
    assert store.superfluous(4) == []
    store.deployed("2", "x", "4")  # one that is deployed again is new again
    store.switch("2")
    assert store.superfluous(2) == ["1", "3"]


def test_a_host_without_a_list_of_good_releases_keeps_those_that_are_there_by_their_age(store: Store) -> None:
    for version in ("1", "2", "3", "4"):
        add(store, version, artifact(server=version))
        os.utime(Path(store.releases) / version / ".release.json", (int(version), int(version)))
    store.switch("4")
    store.record = {"version": "4", "fingerprint": "x", "previous": "3"}
    assert store.superfluous(4) == []
    assert store.superfluous(2) == ["1", "2"]
    store.deployed("4", "x", "3")
    assert store.good() == ["4", "3", "2", "1"]


@pytest.fixture(params=[0o002, 0o027, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_everybody_reads_a_release_whatever_the_umask(store: Store) -> None:
    """An archive without entries for its directories, as `tar czf x.tgz server static/css/a.css` makes it."""
    add(store, "1.0.0", artifact(**{"server": "one", "static/css/a.css": "two", "./lib/x/y/z.js": "three"}))
    store.switch("1.0.0")
    store.record = {"version": "1.0.0"}
    modes = {path.relative_to(store.root): path.stat().st_mode & 0o7777 for path in Path(store.root).rglob("*")}
    closed = {str(path): oct(mode) for path, mode in modes.items() if mode not in (0o755, 0o644)}
    assert not closed
    assert {"releases", "releases/1.0.0/static/css", "releases/1.0.0/lib/x/y", ".deployed.json"} <= set(map(str, modes))


@pytest.mark.usefixtures("umask")
def test_directories_that_come_after_their_files_in_the_archive_are_open_too(store: Store) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, kind in (("a/b/file", tarfile.REGTYPE), ("a/b", tarfile.DIRTYPE), ("a", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o700
            tar.addfile(member, io.BytesIO())
    add(store, "1.0.0", packed.getvalue())
    release = Path(store.releases) / "1.0.0"
    assert [oct((release / name).stat().st_mode & 0o7777) for name in ("a", "a/b", "a/b/file")] == [
        "0o755",
        "0o755",
        "0o755",
    ]


def test_releases_that_an_earlier_run_has_closed_are_opened(store: Store) -> None:
    Path(store.releases).mkdir(parents=True, mode=0o750)
    add(store, "1.0.0", artifact(server="one"))
    assert Path(store.releases).stat().st_mode & 0o777 == 0o755
