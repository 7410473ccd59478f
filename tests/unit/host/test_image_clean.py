from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.modules.image_clean import (
    empty_file,
    plan,
    remove_path,
    running_services,
    write_manifest,
)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A small file system with what a bake leaves behind."""
    for name in (
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/sshd_config",
        "var/log/messages",
        "var/log/messages-20261124",
        "var/log/secure.1",
        "var/log/nginx/access.log-20261124.gz",
        "var/log/nginx/access.log",
        "tmp/.hidden",
        "tmp/dir/file",
        "tmp/systemd-private-1/tmp/file",
        "home/ec2-user/.bash_history",
        "etc/machine-id",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content\n")
    (tmp_path / "var/log/empty").touch()
    return tmp_path


def planned(host: Path, **wanted: list[str]) -> dict[str, list[str]]:
    arguments: dict[str, list[str]] = {"remove": [], "empty": [], "empty_logs_below": [], "keep": []} | wanted
    made = plan(**{key: [f"{host}/{value}" for value in values] for key, values in arguments.items()})
    return {action: [path.removeprefix(f"{host}/") for path in paths] for action, paths in made.items()}


def test_only_what_a_glob_hits_is_removed(host: Path) -> None:
    assert planned(host, remove=["etc/ssh/ssh_host_*", "home/*/.*_history"])["remove"] == [
        "etc/ssh/ssh_host_ed25519_key",
        "home/ec2-user/.bash_history",
    ]


def test_a_star_includes_hidden_names_and_kept_ones_stay(host: Path) -> None:
    assert planned(host, remove=["tmp/*"], keep=["tmp/systemd-private-*"])["remove"] == ["tmp/.hidden", "tmp/dir"]


def test_logs_are_emptied_and_rotated_ones_removed(host: Path) -> None:
    assert planned(host, empty_logs_below=["var/log"]) == {
        "remove": ["var/log/messages-20261124", "var/log/nginx/access.log-20261124.gz", "var/log/secure.1"],
        "empty": ["var/log/messages", "var/log/nginx/access.log"],
    }


def test_what_is_removed_with_its_directory_is_not_emptied_too(host: Path) -> None:
    assert planned(host, remove=["var/log/nginx"], empty_logs_below=["var/log/nginx"])["empty"] == []


def test_a_clean_host_needs_nothing(host: Path) -> None:
    everything: tuple[list[str], ...] = ([str(host / "tmp" / "*")], [f"{host}/etc/machine-id"], [f"{host}/var/log"], [])
    made = plan(*everything)
    for path in made["remove"]:
        remove_path(path)
    for path in made["empty"]:
        empty_file(path)
    assert plan(*everything) == {"remove": [], "empty": []}
    assert (host / "etc/machine-id").read_text() == ""


def test_a_link_is_removed_and_what_it_points_to_stays(host: Path) -> None:
    outside = host / "etc" / "ssh"
    (host / "tmp" / "link").symlink_to(outside)
    remove_path(str(host / "tmp" / "link"))
    assert outside.is_dir()
    (host / "var/log/link.log").symlink_to(host / "etc/ssh/sshd_config")
    assert "var/log/link.log" not in planned(host, empty_logs_below=["var/log"])["empty"]


def test_the_services_that_run_are_asked_from_systemd_and_none_without_a_pattern() -> None:
    asked: list[list[str]] = []

    def run_command(argv: list[str]) -> tuple[int, str, str]:
        asked.append(argv)
        return 0, "nginx.service loaded active running nginx\napp@3000.service loaded active running app\n", ""

    assert running_services(run_command, []) == [] and asked == []
    assert running_services(run_command, ["nginx.service", "app@*"]) == ["app@3000.service", "nginx.service"]
    assert asked[0][-2:] == ["nginx.service", "app@*.service"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_everybody_reads_the_manifest_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    draft, manifest = tmp_path / "draft", tmp_path / "a/b/manifest.json"
    draft.write_text("{}")
    before = os.umask(umask)
    try:
        write_manifest(str(draft), str(manifest), None, False)
        manifest.chmod(0o600)
        write_manifest(str(draft), str(manifest), {"sha256": "a"}, False)
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (manifest, manifest.parent, manifest.parent.parent)]
    assert modes == [0o644, 0o755, 0o755]


def test_a_shorter_manifest_takes_the_place_of_a_longer_one_in_place(tmp_path: Path) -> None:
    draft, manifest = tmp_path / "draft", tmp_path / "manifest.json"
    draft.write_text("{}")
    write_manifest(str(draft), str(manifest), {"sha256": "a" * 64}, False)
    inode = manifest.stat().st_ino
    write_manifest(str(draft), str(manifest), None, False)
    assert (json.loads(manifest.read_text()), manifest.stat().st_ino) == ({"aide": None}, inode)


def test_the_manifest_names_the_aide_database_and_is_written_once(tmp_path: Path) -> None:
    draft, manifest = tmp_path / "draft", tmp_path / "etc/fleet/manifest.json"
    draft.write_text(json.dumps({"inputs": {"name": "Käse"}, "aide": None}))
    database = {"sha256": "a" * 64}
    assert write_manifest(str(draft), str(manifest), None, True) is True and not manifest.exists()
    assert write_manifest(str(draft), str(manifest), database, False) is True
    assert json.loads(manifest.read_text()) == {"inputs": {"name": "Käse"}, "aide": database}
    assert manifest.stat().st_mode & 0o777 == 0o644
    assert write_manifest(str(draft), str(manifest), database, False) is False
    assert write_manifest(str(draft), str(manifest), None, False) is True


def test_a_log_that_is_rotated_away_meanwhile_is_clean(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = os.walk

    def rotated(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, names, files in walk(top):
            yield folder, names, [*files, "gone.log", "gone.log.1"]

    monkeypatch.setattr(os, "walk", rotated)
    found = planned(host, empty_logs_below=["var/log"])
    assert found["empty"] and not [path for paths in found.values() for path in paths if "gone" in path]
    empty_file(str(host / "var/log/gone.log"))
    assert not (host / "var/log/gone.log").exists()
