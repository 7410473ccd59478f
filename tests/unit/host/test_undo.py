"""A failing undo is caught and named, and the rest is undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.undo import outcome, undo

from tests.support.attributes import protected
from tests.support.hardening.machine import Machine


def test_every_step_is_taken_and_those_that_fail_are_named() -> None:
    taken: list[str] = []

    def fails(error: Exception) -> None:
        taken.append(str(error))
        raise error

    left = undo(
        lambda: fails(HostError("one")),
        lambda: ["two is not as it was"],
        lambda: fails(OSError(28, "No space left on device")),
        lambda: taken.append("last"),
    )
    assert left == ["one", "two is not as it was", "[Errno 28] No space left on device"]
    assert taken[-1] == "last"
    assert outcome(left).startswith("Not everything could be restored: one; two")
    assert outcome([]) == "Everything was restored"


@pytest.mark.parametrize(("attribute", "meaning"), [("i", "immutable"), ("a", "append-only")])
def test_a_protected_file_is_an_error_that_names_the_attribute_and_the_remedy(
    machine: Machine, attribute: str, meaning: str
) -> None:
    path = machine.put("/etc/issue.net", "old\n")
    mark = machine.system.mark()
    with protected(path, attribute):
        for change in (
            lambda: machine.system.write("/etc/issue.net", "new\n"),
            lambda: machine.system.set_attributes("/etc/issue.net", mode=0o600),
            lambda: machine.system.remove("/etc/issue.net"),
        ):
            with pytest.raises(
                HostError, match=rf"/etc/issue\.net has the attribute {attribute} \({meaning}\)"
            ) as raised:
                change()
            assert f"chattr -{attribute} removes" in str(raised.value)
        assert machine.system.restore(mark) == [], "it was not changed, so nothing is left to undo"
    assert (path.read_text(), [each.name for each in path.parent.iterdir()]) == ("old\n", ["issue.net"])


def test_a_protected_directory_is_named_too(machine: Machine) -> None:
    machine.put("/etc/ssh/sshd_config", "old\n")
    with protected(machine.root / "etc/ssh"):
        with pytest.raises(HostError, match=r"Cannot write beside .*; /etc/ssh has the attribute i \(immutable\)"):
            machine.system.write("/etc/ssh/sshd_config", "new\n")
        with pytest.raises(HostError, match=r"/etc/ssh has the attribute i"):
            machine.system.write("/etc/ssh/new.d/file", "new\n")


def test_what_can_not_be_restored_is_named_and_the_rest_is_restored(machine: Machine) -> None:
    paths = [machine.put(f"/etc/{name}", "old\n", 0o600) for name in ("a", "b", "c")]
    mark = machine.system.mark()
    for name in ("a", "b", "c"):
        machine.system.write(f"/etc/{name}", "new\n")
        machine.system.set_attributes(f"/etc/{name}", mode=0o644)
    with protected(paths[1]):
        (left,) = machine.system.restore(mark)
    assert left.startswith("/etc/b is not as it was: ")
    assert "/etc/b has the attribute i (immutable)" in left
    assert [path.read_text() for path in paths] == ["old\n", "new\n", "old\n"]
    assert [oct(path.stat().st_mode & 0o777) for path in paths] == ["0o600", "0o644", "0o600"]
    assert machine.system.restore(mark) == []


def test_a_path_that_became_something_else_meanwhile_does_not_keep_others_from_being_restored(machine: Machine) -> None:
    first = machine.put("/etc/first", "old\n")
    mark = machine.system.mark()
    machine.system.write("/etc/first", "new\n")
    machine.system.write("/etc/new", "new\n")
    (machine.root / "etc/new").unlink()
    (machine.root / "etc/new/inside").mkdir(parents=True)
    (left,) = machine.system.restore(mark)
    assert left.startswith("/etc/new is not as it was: ")
    assert first.read_text() == "old\n"


def test_no_staged_file_is_left_when_the_disk_is_full(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    machine.put("/etc/f", "old\n")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(HostError, match="No space left on device"):
        machine.system.write("/etc/f", "new\n")
    assert [path.name for path in Path(machine.root / "etc").iterdir()] == ["f"]
