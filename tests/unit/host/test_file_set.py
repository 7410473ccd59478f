"""Several files as one: what is swapped in, and what is there again when that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.file_set import FileSet, RefusedError

from tests.support.attributes import protected


class FailedError(Exception):
    """What the module's task ends with."""


class Module:
    """As much of AnsibleModule as a FileSet asks for."""

    def __init__(self, check_mode: bool = False) -> None:
        self.check_mode = check_mode
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def get_bin_path(self, name: str) -> str | None:
        return {"sh": "/bin/sh"}.get(name)

    def fail_json(self, msg: str) -> None:
        raise FailedError(msg)


def entry(path: Path, content: str, **more: Any) -> dict[str, Any]:
    given = {
        "mode": "0644",
        "owner": "root",
        "group": "root",
        "validate": [],
        "show_diff": True,
        "secret_content": None,
    }
    return {**given, "path": str(path), "content": content, **more}


def state(path: Path) -> tuple[str, int]:
    return path.read_text(), path.stat().st_mode & 0o7777


def test_files_are_swapped_in_with_their_modes_and_restored_with_those_from_before(tmp_path: Path) -> None:
    old, same, new = tmp_path / "old", tmp_path / "same", tmp_path / "new.d" / "new"
    for path in (old, same):
        path.write_text("before\n")
        path.chmod(0o666)
    files = FileSet(Module(), [entry(old, "after\n", mode="0640"), entry(same, "before\n"), entry(new, "new\n")])
    files.validate()
    assert files.swap() is True
    assert [state(path) for path in (old, same, new)] == [("after\n", 0o640), ("before\n", 0o644), ("new\n", 0o644)]
    files.restore()
    assert [state(path) for path in (old, same)] == [("before\n", 0o666), ("before\n", 0o666)]
    assert not new.exists()


def test_a_second_set_changes_nothing(tmp_path: Path) -> None:
    for expected in (True, False):
        files = FileSet(Module(), [entry(tmp_path / "f", "x\n")], [{**entry(tmp_path / "d", ""), "mode": "0750"}])
        made = files.make_directories()
        files.validate()
        assert (made, files.swap()) == (expected, expected)


def test_a_refused_version_leaves_nothing_behind(tmp_path: Path) -> None:
    files = FileSet(Module(), [entry(tmp_path / "f", "x\n", validate=["sh", "-c", "echo bad: %s; exit 1"])])
    with pytest.raises(RefusedError, match=f"bad: {tmp_path}/f"):
        files.validate()
    assert list(tmp_path.iterdir()) == []


def test_what_was_swapped_is_restored_when_a_later_file_can_not_be_written(tmp_path: Path) -> None:
    files = FileSet(Module(), [entry(tmp_path / "a", "x\n"), entry(tmp_path / "b", "x\n", owner="nosuch")])
    files.validate()
    with pytest.raises(FailedError, match=r"Cannot give .*/b to nosuch"):
        files.swap()
    assert list(tmp_path.iterdir()) == []


def test_check_mode_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x\n")
    path.chmod(0o600)
    files = FileSet(Module(check_mode=True), [entry(path, "x\n")], [entry(tmp_path / "d", "")])
    assert (files.make_directories(), files.attributes_differ(), files.rewritten) == (True, True, [])
    assert state(path) == ("x\n", 0o600)
    assert not (tmp_path / "d").exists()


def test_a_mode_is_octal(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="give it in octal"):
        FileSet(Module(), [entry(tmp_path / "f", "x\n", mode="u=rw")])


def test_a_file_that_can_not_be_restored_is_a_warning_and_the_others_are_restored(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_text("before\n")
    module = Module()
    files = FileSet(module, [entry(path, "after\n") for path in paths])
    files.validate()
    files.swap()
    with protected(paths[1]):
        left = files.restore()
    assert left == module.warnings
    assert len(left) == 1 and "b has the attribute i (immutable), which chattr -i removes" in left[0]
    assert [path.read_text() for path in paths] == ["before\n", "after\n"]


def test_a_protected_file_fails_by_its_name_and_leaves_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    second.write_text("before\n")
    files = FileSet(Module(), [entry(first, "x\n"), entry(second, "x\n")])
    files.validate()
    with protected(second), pytest.raises(FailedError, match=r"b has the attribute i .*\. Everything was restored\."):
        files.swap()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_directory_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="Is a directory"):
        FileSet(Module(), [entry(tmp_path, "x\n")])
