"""The stand-in's recipe: package descriptions, versions, advisories, and the cache that has nothing half-made."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.errors import LabError
from lab.standin import cache, packages, repository
from lab.standin.build import lab_repository, publish_advisory, withdraw_advisory
from lab.standin.debian import Debian
from lab.standin.repository import Build
from lab.standin.userland import RELEASE_VERSION


def test_what_was_built_is_taken_from_the_cache_the_second_time(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "content").write_text("x")

    first = cache.build_once(tmp_path, "thing", "0123456789ab", make)
    second = cache.build_once(tmp_path, "thing", "0123456789ab", make)
    assert first == second
    assert (second / "content").read_text() == "x"
    assert len(made) == 1


def test_the_repositories_name_the_release_that_the_image_has() -> None:
    (package,) = [package for package in packages.load_packages("al2023") if package.name == "system-release"]
    release = RELEASE_VERSION["al2023"]
    assert (package.version, package.provides) == (release, (f"system-release(releasever) = {release}",))
    assert package.preinstalled == ()


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise LabError("no")

    with pytest.raises(LabError):
        cache.build_once(tmp_path, "thing", "0123456789ab", make)
    assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]


def test_the_remains_of_a_killed_build_are_removed_by_the_next(tmp_path: Path) -> None:
    stale = tmp_path / f"{cache.BUILDING}thing-1"
    (stale / "root/etc").mkdir(parents=True)
    cache.build_once(tmp_path, "thing", "0123456789ab", lambda folder: (folder / "x").touch())
    assert not stale.exists()


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(LabError, match=r"no space left(.|\n)*LAB_CACHE"):
        cache.build_once(tmp_path, "thing", "0123456789ab", make)


def test_the_digest_changes_with_content_name_execute_bit_and_link_target(tmp_path: Path) -> None:
    seen = set()
    file = tmp_path / "a"
    file.write_text("1")
    seen.add(cache.digest([tmp_path]))
    file.write_text("2")
    seen.add(cache.digest([tmp_path]))
    file.chmod(0o755)
    seen.add(cache.digest([tmp_path]))
    file.rename(tmp_path / "b")
    seen.add(cache.digest([tmp_path]))
    (tmp_path / "l").symlink_to("b")
    seen.add(cache.digest([tmp_path]))
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("1:3.0.9-1+b2", "3.0.9"),
        ("18.20.4+dfsg-1~deb12u3", "18.20.4"),
        ("4.3-2+deb12u3", "4.3"),
        ("252.39-1~deb12u2", "252.39"),
    ],
)
def test_an_rpm_has_the_upstream_version_of_its_debian_package(debian: str, upstream: str) -> None:
    assert packages.rpm_version(debian) == upstream


@pytest.mark.parametrize("system", packages.SYSTEMS)
def test_every_package_says_in_its_release_that_it_is_a_stand_in(system: str) -> None:
    found = packages.load_packages(system)
    assert {"nginx", "openssl-libs", "chrony", "rsyslog"} <= {package.name for package in found}
    assert all("standin" in package.released(system) for package in found)


def test_node_is_there_as_on_the_real_ones_by_its_major_or_not_at_all() -> None:
    names = {
        system: {p.name for p in packages.load_packages(system) if "node" in p.name} for system in packages.SYSTEMS
    }
    assert names == {"al2": set(), "al2023": {"nodejs20", "nodejs22", "nodejs24"}}


def test_a_file_of_a_debian_package_may_have_another_name(tmp_path: Path) -> None:
    root, unpacked = tmp_path / "root", tmp_path / "unpacked"
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (unpacked / "nodejs_18.20.4-1/usr/bin").mkdir(parents=True)
    (unpacked / "nodejs_18.20.4-1/usr/bin/node").write_text("the program")
    package = packages.Package(
        tmp_path, "nodejs24", "x", "MIT", debian=("nodejs",), renamed={"/usr/bin/node": "/usr/bin/node-24"}
    )
    packages.stage(package, "al2023", Debian(root, unpacked), tmp_path / "made")
    assert [path.name for path in (tmp_path / "made/usr/bin").iterdir()] == ["node-24"]


def test_a_package_description_with_an_unknown_field_is_refused_by_file_and_field(tmp_path: Path) -> None:
    file = tmp_path / "package.toml"
    file.write_text('name = "x"\nsummary = "x"\nlicense = "MIT"\ndepends = ["y"]\n')
    with pytest.raises(LabError, match=r"package.toml.*depends"):
        packages.load_package(file)


def test_a_package_description_that_does_not_say_standin_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "package.toml"
    file.write_text('name = "x"\nsummary = "x"\nlicense = "MIT"\nversion = "1"\nrelease = "1.amzn2"\n')
    with pytest.raises(LabError, match="does not say standin"):
        packages.load_package(file)


def test_one_advisory_lists_all_packages_that_it_updates(tmp_path: Path) -> None:
    updated = [package for package in packages.load_packages("al2023") if package.updated_by]
    files = {
        Build(package, "al2023", True): tmp_path / f"{package.name}-1.0-2.amzn2023.standin.x86_64.rpm"
        for package in updated
    }
    for file in files.values():
        file.write_bytes(b"rpm")
    document = ElementTree.fromstring(repository.updateinfo(files))  # noqa: S314 - written just now
    assert [element.text for element in document.findall("update/id")] == ["ALAS2023-2026-001"]
    entries = document.findall("update/pkglist/collection/package")
    assert {entry.get("name") for entry in entries} == {"nginx", "openssl-libs"}
    assert {(entry.get("version"), entry.get("release"), entry.get("arch")) for entry in entries} == {
        ("1.0", "2.amzn2023.standin", "x86_64")
    }


def test_an_advisory_is_published_in_one_lab_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    for state in ("base", "updated"):
        (shared / ".states" / state / "core").mkdir(parents=True)
        (shared / ".states" / state / "core/name").write_text(state)
    (shared / ".current").symlink_to(".states/base")
    (shared / "core").symlink_to(".current/core")
    monkeypatch.setattr("lab.standin.build.repository", lambda os, cache, progress: shared)
    mine, other = (lab_repository("al2", tmp_path, tmp_path / name, print) for name in ("mine", "other"))
    publish_advisory(mine)
    assert [(path / "core/name").read_text() for path in (mine, other, shared)] == ["updated", "base", "base"]
    withdraw_advisory(mine)
    assert (mine / "core/name").read_text() == "base"


def test_publishing_in_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no package repository"):
        publish_advisory(tmp_path)
