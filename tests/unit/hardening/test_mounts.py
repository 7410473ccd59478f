"""Mount options: what is mounted and what the next boot will mount are both seen, both set, each where the mount is described."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import NotApplicableError
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.mounts import (
    is_set,
    unit_name,
    with_entry,
    with_options,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce
from tests.support.hardening.simulated import kernel_mounts

SHM = "/dev/shm"  # noqa: S108 - the mount point itself
TMP = "/tmp"  # noqa: S108
OURS = "/etc/systemd/system/tmp.mount.d/zz-fleet-hardening.conf"
STATE = {"path": SHM, "options": ["nodev", "noexec"]}


@pytest.mark.parametrize(
    ("options", "held"),
    [
        ("defaults,nodev", True),
        ("nodev,defaults", False),
        ("nodev,dev", False),
        ("user", True),
        ("rw,nodevices", False),
        ("", False),
    ],
)
def test_the_last_word_about_an_option_counts(options: str, held: bool) -> None:
    assert is_set(options.split(","), "nodev") is held


def test_an_option_takes_its_contrary_s_place() -> None:
    assert with_options(["defaults", "exec", "size=1g"], ["noexec", "nodev"]) == [
        "defaults",
        "size=1g",
        "noexec",
        "nodev",
    ]


def test_an_entry_gets_the_options_and_the_others_stay_as_they_are() -> None:
    fstab = "# tmpfs /home x x\nUUID=1 / xfs defaults 0 0\nUUID=2  /home  xfs  dev,noatime  0 0\n"
    assert (
        with_entry(fstab, "/home", ["nodev"])
        == "# tmpfs /home x x\nUUID=1 / xfs defaults 0 0\nUUID=2\t/home\txfs\tnoatime,nodev\t0\t0\n"
    )


@pytest.mark.parametrize(("path", "unit"), [("/var/log/audit", "var-log-audit.mount"), ("/a-b/c", r"a\x2db-c.mount")])
def test_units_are_named_as_systemd_names_them(path: str, unit: str) -> None:
    assert unit_name(path) == unit


def test_what_is_mounted_well_but_not_for_the_next_boot_is_found_and_set(machine: Machine) -> None:
    kernel_mounts(machine, "tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec 0 0\n")
    host = machine.host()
    assert [what for what, _w, _f in differences(host, "mount", STATE)] == ["noexec at boot"]
    enforce(host, "mount", STATE)
    assert machine.text("/etc/fstab") == "tmpfs\t/dev/shm\ttmpfs\tdefaults,nosuid,nodev,noexec\t0\t0\n"
    assert host.after == [("daemon-reload", "")]
    assert not any(command.startswith("mount") for command in machine.asked)


def test_the_mount_keeps_what_it_has_beyond_fstab(machine: Machine) -> None:
    kernel_mounts(machine, "/dev/b /home xfs rw,nosuid,noatime,attr2 0 0\n")
    machine.put("/etc/fstab", "/dev/b /home xfs defaults,nodev 0 0\n")
    enforce(machine.host(), "mount", {"path": "/home", "options": "nodev"})
    assert "mount -o remount,bind,nosuid,noatime,nodev /home" in machine.asked
    assert machine.text("/etc/fstab") == "/dev/b /home xfs defaults,nodev 0 0\n"


def test_a_mount_of_a_unit_gets_a_drop_in_with_all_its_options(machine: Machine) -> None:
    kernel_mounts(machine, "tmpfs /tmp tmpfs rw,nosuid,nodev,seclabel,size=1000k 0 0\n")
    machine.put("/usr/lib/systemd/system/tmp.mount", "[Mount]\nWhat=tmpfs\nOptions=mode=1777,nosuid,nodev\n")
    enforce(machine.host(), "mount", {"path": TMP, "options": "noexec"})
    assert machine.text(OURS) == "[Mount]\nOptions=mode=1777,nosuid,nodev,noexec\n"
    assert not machine.system.exists("/etc/fstab")


def test_a_drop_in_overrules_fstab_and_is_overruled(machine: Machine) -> None:
    kernel_mounts(machine, "tmpfs /tmp tmpfs rw,noexec 0 0\n")
    machine.put("/etc/fstab", "tmpfs /tmp tmpfs noexec 0 0\n")
    machine.put("/etc/systemd/system/tmp.mount.d/local.conf", "[Mount]\nOptions=exec,size=50%\n")
    enforce(machine.host(), "mount", {"path": TMP, "options": "noexec"})
    assert machine.text(OURS) == "[Mount]\nOptions=size=50%,noexec\n"


def test_a_mount_that_nothing_describes_takes_a_person(machine: Machine) -> None:
    kernel_mounts(machine, "/dev/b /home xfs rw,nodev 0 0\n")
    with pytest.raises(HostError, match=r"neither /etc/fstab nor a unit home\.mount says how /home is mounted"):
        enforce(machine.host(), "mount", {"path": "/home", "options": "nodev"})


def test_a_refused_remount_is_told(machine: Machine) -> None:
    kernel_mounts(machine, "tmpfs /dev/shm tmpfs rw 0 0\n")
    machine.answers["mount -o"] = (32, "permission denied")
    with pytest.raises(HostError, match="cannot remount /dev/shm with nodev,noexec: permission denied"):
        enforce(machine.host(), "mount", STATE)


def test_mounts_made_by_a_container_s_host_are_beyond_it_and_those_in_use_not_applicable(machine: Machine) -> None:
    kernel_mounts(machine, "tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0\n")
    found = TYPES["mount"].read(machine.host(container=True), STATE)
    assert [what for what, _w, _f in TYPES["mount"].diff(STATE, found)] == ["noexec at boot", "noexec now"]
    assert set(found.beyond) == set(found.values)
    machine.put("/etc/fstab", "tmpfs /dev/shm tmpfs nodev 0 0\n")
    assert TYPES["mount"].read(machine.host(container=True), STATE).beyond == {}, "its own entry: its own mount"
    with pytest.raises(NotApplicableError, match="in use"):
        differences(machine.host(in_use={"mounts": [SHM]}), "mount", STATE)


@pytest.mark.parametrize("written", [f"{SHM}/", SHM])
def test_an_entry_of_fstab_may_have_a_slash_at_the_end(machine: Machine, written: str) -> None:
    """systemd takes both for one mount; a second line for it would be an error at boot."""
    kernel_mounts(machine, "tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec 0 0\n")
    machine.put("/etc/fstab", f"tmpfs {written} tmpfs defaults 0 0\n")
    enforce(machine.host(), "mount", STATE)
    assert machine.text("/etc/fstab") == f"tmpfs\t{written}\ttmpfs\tdefaults,nodev,noexec\t0\t0\n"
