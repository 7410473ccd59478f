"""Archives on a host: whatever their members are called and lead to, nothing comes to lie outside, and what is safe is unpacked."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import archive
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError, resolved, unpack
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import processes
from hypothesis import given, settings
from hypothesis import strategies as st

DIRECTORY, FILE, LINK, HARD = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
Member = tuple[bytes, str, str]
"""Type, name, target."""


def packed(*members: Member, mode: str = "w:gz") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as tar:  # type: ignore[call-overload]
        for kind, name, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, target, 0o6775
            member.size = len(name.encode("utf-8", "surrogateescape")) if kind == FILE else 0
            tar.addfile(member, io.BytesIO(name.encode("utf-8", "surrogateescape")))
    return data.getvalue()


def unpacked(folder: Path, *members: Member, strip: bool = True) -> Path:
    (folder / "archive").write_bytes(packed(*members))
    unpack(str(folder / "archive"), str(folder / "tree"), "the runtime x", strip)
    return folder / "tree"


NODE = [
    (DIRECTORY, "node-v24/", ""),
    (FILE, "node-v24/bin/node", ""),
    (LINK, "node-v24/bin/npm", "../lib/node_modules/npm/npm-cli.js"),
    (FILE, "node-v24/lib/node_modules/npm/npm-cli.js", ""),
    (HARD, "node-v24/bin/node24", "node-v24/bin/node"),
]


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_runtime_is_unpacked_without_the_directory_that_all_of_it_lies_in(tmp_path: Path, prefix: str) -> None:
    tree = unpacked(tmp_path, *[(kind, prefix + name, prefix + to if kind == HARD else to) for kind, name, to in NODE])
    assert (tree / "bin/node").read_text() == f"{prefix}node-v24/bin/node"
    assert (tree / "bin/npm").resolve() == (tree / "lib/node_modules/npm/npm-cli.js")
    assert (tree / "bin/node24").samefile(tree / "bin/node")
    found = {path.stat().st_mode & 0o7777 for path in tree.rglob("*")}
    assert found == {0o755}
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in tree.rglob("*")} == {(os.geteuid(), os.getegid())}


def test_links_may_come_before_what_they_lead_to(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, *reversed(NODE))
    assert (tree / "bin/node24").samefile(tree / "bin/node")


def test_an_archive_of_several_directories_keeps_them(tmp_path: Path) -> None:
    assert (unpacked(tmp_path, (FILE, "bin/node", ""), (FILE, "README", "")) / "bin/node").exists()


def test_a_release_keeps_its_only_directory(tmp_path: Path) -> None:
    assert (unpacked(tmp_path, (FILE, "public/index.html", ""), strip=False) / "public/index.html").exists()


OUTSIDE: list[list[Member]] = [
    [(FILE, "../evil", "")],
    [(FILE, "/evil", "")],
    [(FILE, "a/../../evil", "")],
    [(FILE, "top/a", ""), (LINK, "top/up", "../..")],
    [(FILE, "top/a", ""), (LINK, "top/up", "/etc")],
    # Each link stays inside by its own words; one leads on through the other.
    [(DIRECTORY, "top/x/y", ""), (LINK, "top/x/y/root", "../.."), (LINK, "top/out", "x/y/root/../..")],
    [(FILE, "top/a", ""), (LINK, "top/l", "l2"), (LINK, "top/l2", "l")],
]


@pytest.mark.parametrize("strip", [True, False])
@pytest.mark.parametrize("members", OUTSIDE)
def test_what_leads_out_is_refused_before_anything_is_unpacked(
    tmp_path: Path, members: list[Member], strip: bool
) -> None:
    if not strip and members[0][1].startswith("top/"):
        members = [(kind, name.removeprefix("top/"), target) for kind, name, target in members]
    with pytest.raises(StoreError, match=r"the runtime x contains .*, which leads out of its directory"):
        unpacked(tmp_path, *members, strip=strip)
    assert not (tmp_path / "tree").exists()


def test_a_member_behind_a_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"contains lib64/evil, which lies behind a link"):
        unpacked(tmp_path, (FILE, "t/lib/a", ""), (LINK, "t/lib64", "lib"), (FILE, "t/lib64/evil", ""))
    # Where it lies its target leads out, as its name says it doesn't.
    with pytest.raises(StoreError, match=r"contains x/y/root/m, which lies behind a link"):
        unpacked(tmp_path, (LINK, "t/x/y/root", "../.."), (LINK, "t/x/y/root/m", "../../.."))


@pytest.mark.parametrize("target", ["/etc/shadow", "../outside", "top/nothing", "top/link", "other/a"])
def test_a_hard_link_to_what_is_no_file_of_the_archive_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("secret")
    members = [(FILE, "top/a", ""), (LINK, "top/link", "a"), (HARD, "top/hard", target)]
    with pytest.raises(StoreError, match=r"contains hard, a hard link to .*, which is no file of the archive"):
        unpacked(tmp_path, *members)


@pytest.mark.parametrize("other", [(FILE, "top/a", ""), (DIRECTORY, "top/a", ""), (LINK, "top/a", "b")])
@pytest.mark.parametrize("link", [(HARD, "top/a", "top/a"), (HARD, "top/./a", "top/b"), (LINK, "top/a", "b")])
def test_a_link_that_is_also_something_else_is_refused(tmp_path: Path, link: Member, other: Member) -> None:
    for members in ([other, link], [link, other]):
        with pytest.raises(StoreError, match=r"contains a twice, once as a link|no file of the archive"):
            unpacked(tmp_path, (FILE, "top/b", ""), *members)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(StoreError, match="neither file, directory nor link"):
        unpacked(tmp_path, (kind, "top/dev", ""))


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "é", "x y", "\udcff", "a\n"]), min_size=1, max_size=5).map(
    "/".join
)
MEMBERS = st.tuples(st.sampled_from([DIRECTORY, FILE, FILE, LINK, LINK, HARD]), NAMES, NAMES)


@settings(max_examples=250, deadline=None)
@given(members=st.lists(MEMBERS, min_size=1, max_size=7), strip=st.booleans())
def test_nothing_ever_lies_or_leads_outside(
    tmp_path_factory: pytest.TempPathFactory, members: list[Member], strip: bool
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    (folder / "outside").write_text("untouched")
    try:
        tree = unpacked(folder, *members, strip=strip)
    except StoreError:
        tree = folder / "tree"
    assert {path.name for path in folder.iterdir()} <= {"archive", "tree", "outside"}
    assert (folder / "outside").read_text() == "untouched"
    for path in tree.rglob("*") if tree.exists() else []:
        assert str(Path(os.path.realpath(path))).startswith(str(tree))
        assert not path.samefile(folder / "outside") if path.exists() else True


@given(path=NAMES)
def test_without_links_a_path_is_what_it_says(path: str) -> None:
    plain = os.path.normpath(path.lstrip("/") or ".")
    expected: Any = None if plain.startswith("..") else [part for part in plain.split("/") if part != "."]
    found = resolved(path, {})
    # A path that leaves and comes back leads out too.
    assert found == expected or (found is None and ".." in path)


@pytest.fixture
def old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 2.7, which has no lzma: tarfile refuses what is packed by it."""
    opened = tarfile.open

    def refuse(name: str | None = None, mode: str = "r", **options: Any) -> Any:
        if name and Path(name).read_bytes().startswith(archive.XZ):
            raise tarfile.ReadError("file could not be opened successfully")
        return opened(name, mode, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(archive, "lzma", None)
    monkeypatch.setattr(tarfile, "open", refuse)


def test_xz_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(packed(*NODE, mode="w:xz"))
    unpack(str(tmp_path / "archive"), str(tmp_path / "tree"), "the runtime x", True)
    assert (tmp_path / "tree/bin/node").exists()


@pytest.mark.usefixtures("old_python")
def test_xz_is_unpacked_by_a_python_that_does_not_know_it(tmp_path: Path) -> None:
    test_xz_is_unpacked(tmp_path)


@pytest.mark.usefixtures("old_python")
def test_a_cut_xz_file_is_refused_with_the_programs_words(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(lzma.compress(b"x" * 100000)[:-20])
    with pytest.raises(StoreError, match=r"the runtime x can't be unpacked: xz: .*[Uu]nexpected end of input"):
        unpack(str(tmp_path / "archive"), str(tmp_path / "tree"), "the runtime x")


@pytest.mark.usefixtures("old_python")
def test_a_host_without_xz_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATH", str(tmp_path))
    (tmp_path / "archive").write_bytes(packed(*NODE, mode="w:xz"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match=r"no program xz\. Install the package xz, or take a \.tar\.gz"):
        unpack(str(tmp_path / "archive"), str(tmp_path / "tree"), "the runtime x")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_cut_archive_is_refused(tmp_path: Path, mode: str) -> None:
    whole = packed(*NODE, mode=mode)
    (tmp_path / "archive").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"the runtime x can't be unpacked: "):
        unpack(str(tmp_path / "archive"), str(tmp_path / "tree"), "the runtime x")


@pytest.mark.parametrize("kind", [FILE, LINK, DIRECTORY])
def test_a_mark_that_an_archive_brings_does_not_count(tmp_path: Path, kind: bytes) -> None:
    """One that was packed on a host has it: a release that failed halfway would be complete, and of another artifact, for good."""
    data, mark = io.BytesIO(), b'{"sha256": "0", "source": "x"}'
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name in ("app/mark", archive.MARKER):
            member = tarfile.TarInfo(name)
            member.type, member.size = (kind, 0) if name == archive.MARKER else (FILE, len(mark))
            member.linkname = "app/mark"
            if kind == FILE:
                member.size = len(mark)
            tar.addfile(member, io.BytesIO(mark) if member.size else None)
    final = tmp_path / "releases/1.0.0"
    sha256 = hashlib.sha256(data.getvalue()).hexdigest()

    def install(complete: Any) -> None:
        data.seek(0)
        archive.Archive("the artifact x", data, sha256).install(str(final), "x", complete)

    def fails(folder: str) -> None:
        assert not archive.is_installed(folder)
        raise StoreError("no more")

    with pytest.raises(StoreError, match="no more"):
        install(fails)
    assert not final.exists()
    install(None)
    assert archive.installed_from(str(final)) == sha256
    assert (final / "app/mark").read_bytes() == mark
