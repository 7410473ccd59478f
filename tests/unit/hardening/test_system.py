from __future__ import annotations

import time

import pytest

from plugins.module_utils.hardening.system import HardeningError, run

from .conftest import Machine


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
    with pytest.raises(HardeningError, match="Cannot read /etc: Is a directory"):
        machine.system.read("/etc")


def test_a_process_that_hangs_is_killed() -> None:
    start = time.monotonic()
    done = run(["sleep", "30"], timeout=0.2)
    assert done.code == 124
    assert time.monotonic() - start < 5


def test_a_missing_program_is_code_127() -> None:
    assert run(["no-such-program"]).code == 127
