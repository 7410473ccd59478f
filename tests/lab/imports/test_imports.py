"""Container images as base images: layers and deleted files become a machine; what is wrong is refused, and leaves nothing."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.daemon.web import FileServer
from lab.errors import LabError
from lab.imports import catalog, importer, packages, source
from lab.imports.catalog import Imported
from lab.imports.packages import Repositories
from lab.machines.machine import Machine
from lab.machines.spec import MachineSpec
from lab.run import Completed
from lab.settings import Settings
from lab.standin.build import base_image, repository
from lab.standin.keys import signing_key
from tests.support.oci import Layout
from tests.support.waiting import wait_for

NAME = "pytest-import"
TAKEN_OUT = ["chrony", "audit", "cloud-init", "amazon-ssm-agent"]
LATER = ["cloud-init", "amazon-ssm-agent"]


def quiet(message: str) -> None:
    print(message)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    # gpg's agent has its socket beside the key, and a test's directory has too long a name for one.
    key = signing_key(Settings.load().cache)
    monkeypatch.setattr(importer, "signing_key", lambda cache: key)
    return Settings("x", tmp_path / "state", tmp_path / "cache", ("al2", "al2023"))


def tree(folder: Path, text: str) -> Path:
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/os-release").write_text(text)
    return folder


def small(tmp_path: Path, text: str, **more: str) -> str:
    layout = Layout(tmp_path / "layout")
    layout.add_layer(tree(tmp_path / "tree", text))
    return layout.finish(**more)


def refused(settings: Settings, reference: str, **repositories: object) -> LabError:
    with pytest.raises(LabError) as caught:
        importer.import_image(settings, reference, "some", Repositories(**repositories), quiet)
    left = [path.name for path in catalog.folder_of(settings.cache).glob("*") if not path.name.endswith(".lock")]
    assert left == []
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("reference", ["amazonlinux:2023", "dir:/tmp", "http://example.com/x"])
def test_what_is_no_reference_is_refused_with_examples(cache: Settings, reference: str) -> None:
    assert "docker://" in refused(cache, reference).hint


@pytest.mark.lab
def test_a_system_that_is_no_amazon_linux_is_refused_by_its_name(cache: Settings, tmp_path: Path) -> None:
    reference = small(tmp_path, 'ID="fedora"\nVERSION_ID="41"\nPRETTY_NAME="Fedora Linux 41"\n')
    assert "is Fedora Linux 41, not Amazon Linux" in str(refused(cache, reference))


@pytest.mark.lab
def test_an_image_for_another_processor_is_refused_before_it_is_pulled(cache: Settings, tmp_path: Path) -> None:
    reference = small(tmp_path, 'ID="amzn"\nVERSION_ID="2"\n', architecture="s390x")
    assert "is an image for s390x" in str(refused(cache, reference))


@pytest.mark.lab
def test_a_path_and_a_tag_that_are_not_there_are_told_apart(cache: Settings, tmp_path: Path) -> None:
    assert "nothing at this path" in str(refused(cache, f"oci:{tmp_path}/none"))
    reference = small(tmp_path, 'ID="amzn"\nVERSION_ID="2"\n')
    assert "oci:DIR:TAG" in refused(cache, reference.replace(":latest", ":other")).hint


@pytest.mark.lab
def test_an_image_without_a_package_manager_is_refused(cache: Settings, tmp_path: Path) -> None:
    reference = small(tmp_path, 'ID="amzn"\nVERSION_ID="2023"\n')
    assert "neither dnf nor yum" in str(refused(cache, reference))


@pytest.mark.lab
def test_a_full_disk_is_told_before_the_pull(cache: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = small(tmp_path, 'ID="amzn"\nVERSION_ID="2023"\n')
    monkeypatch.setattr("lab.imports.source.shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 1000))
    error = refused(cache, reference)
    assert "MiB are free" in str(error)
    assert "LAB_CACHE" in error.hint


@pytest.mark.parametrize(
    ("output", "meaning"),
    [
        (
            'level=fatal msg="pinging container registry: dial tcp: lookup example.com: no such host"',
            "can't be reached",
        ),
        ('level=fatal msg="reading manifest 9 in x: manifest unknown"', "no such image or tag"),
        ('level=fatal msg="reading manifest: unauthorized: authentication required"', "refuses access"),
        ('level=fatal msg="writing blob: write /x: no space left on device"', "the disk is full"),
        ('level=fatal msg="choosing image: no image found in manifest list for architecture arm64"', "is not made for"),
        ('level=fatal msg="something new"', "something new"),
    ],
)
def test_what_skopeo_says_is_explained(output: str, meaning: str) -> None:
    with pytest.raises(LabError, match=meaning):
        source._output("docker://x", Completed(["skopeo", "copy"], 1, "", output))


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.imports.source.shutil.which", lambda tool: None if tool == "umoci" else tool)
    with pytest.raises(LabError, match="needs umoci") as caught:
        source.require_tools()
    assert "apt-get install --no-install-recommends umoci" in caught.value.hint


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("docker://public.ecr.aws/amazonlinux/amazonlinux:2023", "amazonlinux-2023"),
        ("oci:/tmp/My_Layout", "my-layout"),
        ("docker-archive:/tmp/al2.tar", "al2.tar"),
        ("docker://x/amazonlinux@sha256:0123", "amazonlinux"),
    ],
)
def test_a_reference_gives_a_name(reference: str, name: str) -> None:
    assert importer.default_name(reference) == name


def test_a_wrong_mirror_is_refused(tmp_path: Path) -> None:
    for wrong in (Repositories(urls=("/a/path",)), Repositories(file=tmp_path / "none.repo")):
        with pytest.raises(LabError, match="--repo"):
            wrong.check()


@pytest.mark.parametrize(
    ("output", "meaning", "hint"),
    [
        (
            "Curl error (7): Couldn't connect to server for http://127.0.0.1:9/repodata/repomd.xml",
            "can't be reached",
            "--repository",
        ),
        (
            "Package chrony.rpm is not signed\nError: GPG check FAILED",
            "not signed by a key of the image",
            "as Amazon signed",
        ),
        ("At least 12MB more space needed on the / filesystem.", "the disk is full", "LAB_CACHE"),
        ("No match for argument: chrony", "did not give", "--repo-file"),
    ],
)
def test_what_the_package_manager_says_is_explained(
    output: str, meaning: str, hint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages, "enter", lambda root, argv, timeout=0: Completed(argv, 1, "", output))
    with pytest.raises(LabError, match=meaning) as caught:
        packages.install(tmp_path, ["dnf"], "al2023")
    assert hint in caught.value.hint


def recorded(settings: Settings, name: str, os_name: str, when: str) -> None:
    folder = catalog.folder_of(settings.cache) / f"{name}-{when[-2:]}0123456789"
    folder.mkdir(parents=True)
    (folder / catalog.RECORD).write_text(
        f'{{"name": "{name}", "os": "{os_name}", "release": "r", "source": "s", "digest": "d", "imported": "{when}", "lacking": []}}'
    )


def test_a_name_means_its_newest_import_and_each_system_has_one(cache: Settings) -> None:
    for name, os_name, day in (("a", "al2", 1), ("a", "al2", 2), ("b", "al2", 3), ("c", "al2023", 4)):
        recorded(cache, name, os_name, f"2026-01-0{day}")
    found = [(image.name, image.imported[-2:]) for image in catalog.every(cache.cache)]
    assert found == [("a", "02"), ("a", "01"), ("b", "03"), ("c", "04")]
    assert {os: image.folder.name for os, image in catalog.chosen(replace(cache, bases=("a", "c"))).items()} == {
        "al2": "a-020123456789",
        "al2023": "c-040123456789",
    }
    with pytest.raises(LabError, match="two images of al2: a, b"):
        catalog.chosen(replace(cache, bases=("a", "b")))
    with pytest.raises(LabError, match="an image of al2023; this lab is to have al2"):
        catalog.chosen(replace(cache, bases=("c",), oses=("al2",)))
    with pytest.raises(LabError, match="no imported image 'z'") as caught:
        catalog.chosen(replace(cache, bases=("z",)))
    assert "a, b, c" in caught.value.hint


def test_an_image_that_a_lab_uses_is_not_removed(cache: Settings) -> None:
    recorded(cache, "a", "al2", "2026-01-01")
    used = catalog.find(cache.cache, "a")
    (cache.images_dir).mkdir(parents=True)
    (cache.images_dir / "bases.json").write_text(f'{{"al2": "{used.root}"}}')
    with pytest.raises(LabError, match="in use"):
        catalog.remove(cache, "a")
    (cache.images_dir / "bases.json").unlink()
    assert catalog.remove(cache, "a") == ["a-010123456789"]
    assert catalog.every(cache.cache) == []
    assert list(catalog.folder_of(cache.cache).iterdir()) == []


@pytest.fixture(scope="module")
def mirror(bare: Settings) -> Iterator[str]:
    """The stand-in's signed repository at an address of this machine, as a mirror of Amazon's would be."""
    server = FileServer(repository("al2023", bare.cache, quiet), "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/core/latest"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def layout(bare: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A container image of Amazon Linux 2023: the second layer takes out packages, users and units of the first."""
    folder = tmp_path_factory.mktemp("container")
    base, upper, work, merged = (
        base_image("al2023", bare.cache, quiet),
        *(folder / name for name in ("upper", "work", "merged")),
    )
    for made in (upper, work, merged):
        made.mkdir()
    options = f"lowerdir={base},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        script = f"rpm -e {' '.join(TAKEN_OUT)} && userdel -r ec2-user && rm -rf /etc/sudoers.d/90-cloud-init-users /etc/systemd/network/*"
        subprocess.run(["chroot", merged, "bash", "-c", script], check=True, capture_output=True)
    finally:
        subprocess.run(["umount", merged], check=True)
    for mark in [path for path in upper.rglob("*") if path.is_char_device() and not path.is_symlink()]:
        mark.unlink()
        mark.with_name(f".wh.{mark.name}").touch()
    container = Layout(folder / "layout")
    container.add_layer(base)
    container.add_layer(upper)
    container.finish()
    return folder / "layout"


@pytest.fixture(scope="module")
def imported(bare: Settings, layout: Path, mirror: str) -> Iterator[Imported]:
    shown: list[str] = []
    yield importer.import_image(bare, f"oci:{layout}:latest", NAME, Repositories(urls=(mirror,)), shown.append)
    steps = ("looking", "pulling", "unpacking", "installing", "downloading", "making")
    assert [step for step in steps if not any(step in line for line in shown)] == []
    catalog.remove(bare, NAME)
    assert [image for image in catalog.every(bare.cache) if image.name == NAME] == []


@pytest.mark.lab
def test_an_import_has_what_it_lacked_and_not_what_a_layer_deleted(imported: Imported) -> None:
    assert (imported.os, imported.release[:17]) == ("al2023", "Amazon Linux 2023")
    asked = packages.enter(imported.root, ["rpm", "-q", *TAKEN_OUT])
    assert asked.returncode == 0, asked.stdout
    assert packages.enter(imported.root, ["rpm", "-Va", "--nofiles", "--nodigest"]).stdout == ""
    assert not list(imported.root.rglob(".wh.*"))
    assert not (imported.root / "var/tmp/lab-import").exists()
    assert list((imported.repository / "core/latest").glob("nginx-*.rpm"))
    assert imported.lacking == []


@pytest.mark.lab
def test_the_second_import_of_the_same_is_taken_from_the_cache(
    imported: Imported, bare: Settings, layout: Path, mirror: str
) -> None:
    shown: list[str] = []
    again = importer.import_image(bare, f"oci:{layout}:latest", NAME, Repositories(urls=(mirror,)), shown.append)
    assert [line.split()[0] for line in shown] == ["looking"]
    assert again == imported


@pytest.mark.lab
def test_a_machine_boots_from_it(imported: Imported, bare: Settings) -> None:
    spec = MachineSpec(
        "i-00000000000000088", "10.0.16.88", "0a:00:0a:00:10:88", (imported.root,), "ip-10-0-16-88.ec2.internal"
    )
    machine = Machine(bare, spec)
    machine.start()
    try:
        wait_for(f"SSH daemon; console: {machine.console}", lambda: machine.booted)
        wait_for("cloud-init", lambda: "status: done" in machine.exec(["cloud-init", "status"], timeout=20).stdout)
        assert machine.exec(["runuser", "-u", "ec2-user", "--", "sudo", "-n", "id", "-u"], timeout=20).stdout == "0\n"
        assert machine.exec(["hostname"], timeout=20).stdout.strip() == spec.hostname
    finally:
        machine.destroy()
