from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError

from tests.support.hardening.machine import Machine


def test_restore_brings_content_mode_and_absence_back(machine: Machine) -> None:
    kept = machine.put("/etc/kept", "old\n", 0o600)
    gone = machine.put("/etc/gone", "was here\n", 0o640)
    mark = machine.system.mark()
    machine.system.write("/etc/kept", "new\n")
    machine.system.write("/etc/kept", "newer\n")
    machine.system.set_attributes("/etc/kept", mode=0o666)
    machine.system.write("/etc/new.d/file", "x\n")
    machine.system.remove("/etc/gone")
    machine.system.restore(mark)
    assert (kept.read_text(), oct(kept.stat().st_mode & 0o777)) == ("old\n", "0o600")
    assert (gone.read_text(), oct(gone.stat().st_mode & 0o777)) == ("was here\n", "0o640")
    assert not (machine.root / "etc/new.d/file").exists()


def test_a_symbolic_link_is_followed_and_stays_one(machine: Machine) -> None:
    target = machine.put("/etc/real", "old\n")
    link = machine.root / "etc/link"
    link.symlink_to(target)
    mark = machine.system.mark()
    machine.system.write("/etc/link", "new\n")
    assert link.is_symlink()
    assert target.read_text() == "new\n"
    machine.system.restore(mark)
    assert link.is_symlink()
    assert target.read_text() == "old\n"


def test_a_written_file_keeps_its_mode(machine: Machine) -> None:
    path = machine.put("/etc/secret", "a\n", 0o400)
    machine.system.write("/etc/secret", "b\n")
    assert path.stat().st_mode & 0o777 == 0o400


def test_changes_tell_before_and_after_once_per_file(machine: Machine) -> None:
    machine.put("/etc/a", "1\n")
    machine.put("/etc/same", "1\n")
    machine.system.write("/etc/a", "2\n")
    machine.system.write("/etc/a", "3\n")
    machine.system.write("/etc/same", "1\n")
    machine.system.write("/etc/b", "new\n")
    assert machine.system.changes() == [("/etc/a", "1\n", "3\n"), ("/etc/b", "", "new\n")]


def test_no_temporary_file_is_left(machine: Machine) -> None:
    machine.system.write("/etc/a", "1\n")
    assert [path.name for path in (machine.root / "etc").iterdir()] == ["a"]


def test_an_unreadable_path_is_an_error_that_names_it(machine: Machine) -> None:
    (machine.root / "etc").mkdir()
    with pytest.raises(HostError, match="Cannot read /etc: Is a directory"):
        machine.system.read("/etc")


@pytest.mark.parametrize("umask", [0o002, 0o027, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(machine: Machine, umask: int) -> None:
    before = os.umask(umask)
    try:
        machine.system.write("/etc/new.d/file", "x\n")
        machine.system.make_directory("/var/a/b", 0o700, None, None)
        machine.system.make_directory("/var/c/d", 0o775, None, None)
    finally:
        os.umask(before)
    paths = {path: path.stat().st_mode & 0o7777 for path in machine.root.rglob("*")}
    private = {machine.root / "var/a/b": 0o700, machine.root / "var/c/d": 0o775, machine.root / "etc/new.d/file": 0o644}
    assert paths == {path: private.get(path, 0o755) for path in paths}


def test_attributes_that_are_right_are_no_change(machine: Machine) -> None:
    machine.put("/etc/f", "x", 0o600)
    assert machine.system.set_attributes("/etc/f", mode=0o600, owner="root", group="0") is False
    assert machine.system.set_attributes("/etc/f", mode=0o640) is True


def test_an_owner_who_does_not_exist_is_an_error_that_names_the_path(machine: Machine) -> None:
    machine.put("/etc/f", "x")
    with pytest.raises(HostError, match="Cannot give /etc/f to nosuch: there is no such user or group here"):
        machine.system.set_attributes("/etc/f", owner="nosuch")


@pytest.fixture
def null(machine: Machine) -> Path:
    """A device like /dev/null, to which links lead that switch files off."""
    path = machine.root / "dev/null"
    path.parent.mkdir()
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no devices can be made here")
    path.chmod(0o666)
    (machine.root / "etc").mkdir()
    (machine.root / "etc/motd").symlink_to("../dev/null")
    return path


def is_whole(null: Path) -> bool:
    found = null.stat()
    return stat.S_ISCHR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o666


def test_a_link_to_a_device_is_replaced_when_it_is_written_and_brought_back(machine: Machine, null: Path) -> None:
    motd = machine.root / "etc/motd"
    mark = machine.system.mark()
    machine.system.write("/etc/motd", "hello\n")
    assert (motd.is_symlink(), motd.read_text(), motd.stat().st_mode & 0o777) == (False, "hello\n", 0o644)
    assert is_whole(null)
    assert machine.system.restore(mark) == []
    assert motd.is_symlink() and is_whole(null)


@pytest.mark.parametrize("path", ["/etc/motd", "/dev/null"])
def test_nobody_changes_a_device_by_a_path_that_leads_there(machine: Machine, null: Path, path: str) -> None:
    with pytest.raises(HostError, match=f"{path} leads to a device"):
        machine.system.set_attributes(path, mode=0o600)
    assert is_whole(null)


def test_a_device_itself_is_not_written(machine: Machine, null: Path) -> None:
    with pytest.raises(HostError, match="Cannot write /dev/null"):
        machine.system.write("/dev/null", "x")
    assert is_whole(null)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"path": "/etc/motd", "mode": "0644", "owner": "root", "group": "root"}, None),
        ({"path": "/etc/motd", "mode": "0644", "missing": "create"}, ""),
        ({"path": "/etc/motd", "content": "hello\n", "mode": "0644"}, "hello\n"),
        ({"path": "/etc/motd", "absent": True}, None),
    ],
)
def test_a_control_about_a_file_that_is_switched_off_leaves_the_device_alone(
    machine: Machine, null: Path, state: dict[str, Any], text: str | None
) -> None:
    (result,) = evaluate([{"id": "motd", "type": "file", "state": state}], machine.host(), True, {})
    assert is_whole(null)
    motd = machine.root / "etc/motd"
    if text is not None:
        assert (result["status"], motd.is_symlink(), motd.read_text()) == ("changed", False, text)
    elif state.get("absent"):
        assert (result["status"], motd.is_symlink()) == ("changed", False)
    else:
        assert (result["status"], motd.is_symlink()) == ("not_applicable", True)
