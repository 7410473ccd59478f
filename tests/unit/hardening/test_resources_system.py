"""Audit rules, walks through the disk, the boot loader: read, differ, apply, hold."""

from __future__ import annotations

import os

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources import walk
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.audit import (
    RULES,
    canonical,
    for_machine,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import NotApplicableError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError, NotInstalledError

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce
from tests.support.hardening.simulated import Grubby, kernel_audit

WATCH = "-w /etc/sudoers -p wa -k scope"
CALLS = "-a always,exit -F arch=b64 -S chmod,fchmod -F auid>=1000 -F auid!=unset -k perm_mod"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CALLS, "-a exit,always -F arch=b64 -S fchmod -S chmod -F auid>=1000 -F auid!=-1 -F key=perm_mod"),
        (WATCH, "-w /etc/sudoers -p aw -k scope"),
    ],
)
def test_two_spellings_of_a_rule_are_the_same_rule(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    "other", ["-w /etc/sudoers -p w -k scope", "-w /etc/sudoers.d -p wa -k scope", "-w /etc/sudoers -p wa -k x"]
)
def test_another_rule_is_another(other: str) -> None:
    assert canonical(WATCH) != canonical(other)


def test_64_bit_arm_gets_the_calls_that_its_kernel_has() -> None:
    assert for_machine(CALLS, "x86_64") == CALLS
    assert for_machine(CALLS, "aarch64") == CALLS.replace("chmod,fchmod", "fchmod")
    assert for_machine(CALLS.replace("b64", "b32"), "aarch64") == ""
    assert for_machine("-a always,exit -F arch=b64 -S open,creat -k x", "aarch64") == ""
    assert for_machine(WATCH, "aarch64") == WATCH


def test_a_rule_is_written_and_loaded(machine: Machine) -> None:
    rules = kernel_audit(machine)
    enforce(machine.host(), "audit_rule", {"rules": [WATCH, CALLS]})
    assert machine.text(RULES).splitlines() == [WATCH, CALLS]
    assert len(rules) == 2


def test_a_rule_of_another_file_is_not_written_twice(machine: Machine) -> None:
    kernel_audit(machine)
    machine.put("/etc/audit/rules.d/own.rules", f"# ours\n{WATCH}\n")
    enforce(machine.host(), "audit_rule", {"rules": WATCH})
    assert not (machine.root / RULES.lstrip("/")).exists()


def test_locked_rules_and_a_shared_kernel_are_told(machine: Machine) -> None:
    rules = kernel_audit(machine, enabled=2)
    for container in (False, True):
        found = read_rule(machine, container)
        assert list(found.beyond) == [f"now: {WATCH}"]
    assert rules == []


def read_rule(machine: Machine, container: bool):  # type: ignore[no-untyped-def]
    from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES

    machine.system.forget("audit kernel")
    return TYPES["audit_rule"].read(machine.host(container=container), {"rules": WATCH})


def test_a_program_that_is_not_there_needs_no_rule(machine: Machine) -> None:
    kernel_audit(machine)
    rule = "-a always,exit -F path=/usr/bin/pkexec -F perm=x -k privileged"
    with pytest.raises(NotApplicableError):
        differences(machine.host(), "audit_rule", {"rules": rule})
    machine.put("/usr/bin/pkexec", "")
    assert len(differences(machine.host(), "audit_rule", {"rules": rule})) == 2


def disk(machine: Machine) -> None:
    machine.put("/proc/self/mounts", "/dev/xvda1 / xfs rw 0 0\nproc /proc proc rw 0 0\n")


def test_what_everybody_can_write_is_found_once_and_set(machine: Machine) -> None:
    disk(machine)
    machine.put("/opt/open", "", 0o666)
    machine.put("/proc/open", "", 0o666)
    shared = machine.root / "srv"
    shared.mkdir()
    shared.chmod(0o777)
    (machine.root / "opt/link").symlink_to("open")
    host = machine.host()
    assert [d[0] for d in differences(host, "file_walk", {"check": "world_writable"})] == ["/opt/open"]
    enforce(host, "file_walk", {"check": "world_writable"})
    enforce(host, "file_walk", {"check": "not_sticky"})
    assert (machine.root / "opt/open").stat().st_mode & 0o7777 == 0o664
    assert shared.stat().st_mode & 0o7777 == 0o1777


def test_a_part_of_a_container_s_disk_that_is_mounted_is_walked_and_other_systems_files_are_not(
    machine: Machine,
) -> None:
    paths = ("/", "/var", "/var/lib/docker/overlay2/x/merged")
    machine.put("/proc/self/mounts", "".join(f"overlay {path} overlay rw 0 0\n" for path in paths))
    machine.put("/var/open", "", 0o666)
    machine.put(f"{paths[2]}/open", "", 0o666)
    assert [d[0] for d in differences(machine.host(), "file_walk", {"check": "world_writable"})] == ["/var/open"]


def test_more_than_can_be_listed_is_counted_and_set_at_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "SHOWN", 3)
    disk(machine)
    for number in range(7):
        machine.put(f"/opt/open{number}", "", 0o666)
    host = machine.host()
    found = [d[0] for d in differences(host, "file_walk", {"check": "world_writable"})]
    assert (len(found), found[-1] if "more" in found[-1] else found[0]) == (4, "and 4 more")
    enforce(host, "file_walk", {"check": "world_writable"})
    assert differences(host, "file_walk", {"check": "world_writable"}) == []


@pytest.mark.parametrize("sign", ["\x0c", "\x1c", "\u2028", "\x85", "\r"])
def test_no_user_hides_a_set_id_program_behind_an_odd_name(machine: Machine, sign: str) -> None:
    disk(machine)
    machine.put(f"/opt/a{sign}b", "", 0o4755)
    machine.put("/opt/door", "", 0o4755)
    machine.answers["rpm -qf"] = lambda argv, _stdin: (
        0,
        "".join(f"file {path} is not owned by any package\n" for path in argv[4:]),
    )
    found = [d[0] for d in differences(machine.host(), "file_walk", {"check": "set_id"})]
    assert sorted(found) == sorted([f"/opt/a{sign}b", "/opt/door"])


def test_files_of_nobody_take_a_person(machine: Machine) -> None:
    disk(machine)
    os.chown(machine.put("/opt/lost", ""), 54321, 54322)
    host = machine.host()
    for check in ("unowned", "ungrouped"):
        assert [d[0] for d in differences(host, "file_walk", {"check": check})] == ["/opt/lost"]
        with pytest.raises(HostError, match="needs a person"):
            enforce(host, "file_walk", {"check": check})


def test_programs_with_rights_are_found_unless_a_package_brought_them(machine: Machine) -> None:
    disk(machine)
    machine.put("/usr/bin/su", "", 0o4755)
    machine.put("/usr/bin/door", "", 0o4755)
    machine.answers["rpm -qf"] = lambda argv, _stdin: (
        0,
        "\n".join(
            "util-linux" if path.endswith("su") else f"file {path} is not owned by any package" for path in argv[4:]
        ),
    )
    assert [d[0] for d in differences(machine.host(), "file_walk", {"check": "set_id"})] == ["/usr/bin/door"]


def test_a_walk_that_takes_too_long_is_no_result(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(machine)
    monkeypatch.setattr(walk, "LIMIT_SECONDS", -1.0)
    with pytest.raises(HostError, match="took more than"):
        differences(machine.host(), "file_walk", {"check": "unowned"})


@pytest.mark.parametrize(
    ("state", "wrong"),
    [
        ({"argument": "audit", "value": "1"}, ["a"]),
        ({"argument": "audit_backlog_limit", "value": "8192", "at_least": True}, ["a"]),
        ({"argument": "selinux"}, ["b"]),
    ],
)
def test_every_kernel_gets_the_argument(machine: Machine, state: dict[str, object], wrong: list[str]) -> None:
    Grubby(machine, a="ro quiet audit=0", b="ro audit=1 audit_backlog_limit=16384 selinux=0")
    host = machine.host()
    assert [what for what, _w, _f in differences(host, "boot_argument", state)] == [
        f"/boot/vmlinuz-{name}: {state['argument']}" for name in wrong
    ]
    enforce(host, "boot_argument", state)


def test_a_machine_without_a_boot_loader_has_nothing_to_set(machine: Machine) -> None:
    with pytest.raises(NotApplicableError, match="container"):
        differences(machine.host(container=True), "boot_argument", {"argument": "audit", "value": "1"})
    machine.answers["rpm -qa"] = (0, "bash\n")
    with pytest.raises(NotInstalledError, match="package grubby is not installed"):
        differences(machine.host(), "boot_argument", {"argument": "audit", "value": "1"})


def test_the_legacy_policy_is_replaced_and_a_stricter_one_is_not(machine: Machine) -> None:
    path = "/etc/crypto-policies/config"
    state = {"value": "DEFAULT", "refuse": ["LEGACY"]}
    machine.answers["rpm -qa"] = (0, "bash\n")
    with pytest.raises(NotInstalledError, match="package crypto-policies is not installed"):
        differences(machine.host(), "crypto_policy", state)
    machine.put(path, "FUTURE\n")
    assert differences(machine.host(), "crypto_policy", state) == []
    machine.put(path, "# a comment\nLEGACY:AD-SUPPORT\n")
    machine.answers["update-crypto-policies --set"] = lambda argv, _stdin: (machine.put(path, argv[2] + "\n"), (0, ""))[
        1
    ]
    enforce(machine.host(), "crypto_policy", state)
