"""A program or a file that is gone makes no failing control "not applicable": only the package's absence does."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard

from tests.support.hardening.cases import REGISTER
from tests.support.hardening.machine import Machine

GONE: list[tuple[str, str, dict[str, Any], str]] = [
    ("nftables", "firewall", {"want": "deny"}, "the program nft"),
    ("audit", "audit_rule", {"rules": "-w /etc/passwd -p wa -k identity"}, "/etc/audit/rules.d"),
    ("audit", "audit_compiled", {}, "/etc/audit/rules.d"),
    ("sudo", "sudo_default", {"option": "use_pty", "value": True}, "/etc/sudoers"),
    ("sudo", "sudo_rule", {"absent": "!authenticate"}, "/etc/sudoers"),
    ("pam", "pam", {"service": ["system-auth"], "type": "auth", "module": "pam_unix.so"}, "/etc/pam.d/system-auth"),
    ("openssh-server", "sshd", {"option": "X11Forwarding", "value": "no"}, "the program sshd"),
    ("openssh-server", "sshd_users", {}, "the program sshd"),
    ("grubby", "boot_argument", {"argument": "audit", "value": "1"}, "the program grubby"),
    ("crypto-policies", "crypto_policy", {"value": "DEFAULT", "refuse": ["LEGACY"]}, "/etc/crypto-policies/config"),
]


@pytest.mark.parametrize("row", GONE, ids=[row[1] for row in GONE])
@pytest.mark.parametrize("enforce", [False, True])
def test_what_is_gone_could_not_be_checked_and_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, row: tuple[str, str, dict[str, Any], str], enforce: bool
) -> None:
    package, kind, state, what = row
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {"Session Manager": True})
    machine.answers["rpm -qa"] = (0, f"bash\n{package}\n")
    host = machine.host(in_use={"ports": [80]})
    (found,) = evaluate([{"id": "x", "type": kind, "state": state}], host, enforce, {})
    assert (found["status"], found["changed"]) == ("error", False)
    assert f"{what} is gone, though the package {package} is installed: reinstall it" in found["reason"]


@pytest.mark.parametrize(("package", "kind", "state", "what"), GONE, ids=[row[1] for row in GONE])
def test_without_the_package_the_control_does_not_apply(
    machine: Machine, package: str, kind: str, state: dict[str, Any], what: str
) -> None:
    machine.answers["rpm -qa"] = (0, "bash\n")
    host = machine.host(in_use={"ports": [80]})
    (found,) = evaluate([{"id": "x", "type": kind, "state": state}], host, False, {})
    assert (found["status"], found["reason"]) == ("not_applicable", f"package {package} is not installed")


@pytest.mark.parametrize(("package", "kind", "state", "what"), GONE, ids=[row[1] for row in GONE])
def test_where_rpm_is_gone_too_nothing_passes_for_not_applicable(
    machine: Machine, package: str, kind: str, state: dict[str, Any], what: str
) -> None:
    (found,) = evaluate([{"id": "x", "type": kind, "state": state}], machine.host(in_use={"ports": [80]}), False, {})
    assert found["status"] == "error"
    assert "Cannot list the installed packages" in found["reason"]


def test_no_control_applies_by_a_file_that_somebody_may_remove() -> None:
    """The package says whether a control applies. SELinux's file belongs to no package that every host has."""
    by_file = {path for control in REGISTER if isinstance(path := control.applies.get("path"), str)}
    assert by_file == {"/etc/selinux/config"}


def test_an_exception_covers_what_could_not_be_checked(machine: Machine) -> None:
    machine.answers["rpm -qa"] = (0, "nftables\n")
    control = {"id": "x", "type": "firewall", "state": {"want": "deny"}}
    (found,) = evaluate([control], machine.host(in_use={"ports": [80]}), False, {"x": "agreed (me)"})
    assert (found["status"], found["reason"]) == ("excepted", "agreed (me)")


def test_a_refusal_of_the_guard_does_not_hide_that_a_control_could_not_be_checked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {})
    machine.answers["rpm -qa"] = (0, "openssh-server\n")
    control = {"id": "x", "type": "sshd", "state": {"option": "X11Forwarding", "value": "no"}}
    (found,) = evaluate([control], machine.host(), True, {})
    assert found["status"] == "error"
    assert "the program sshd is gone" in found["reason"]


def test_a_packet_filter_that_does_not_answer_could_not_be_checked_and_one_that_is_not_loaded_fails(
    machine: Machine,
) -> None:
    machine.answers["rpm -qa"] = (0, "nftables\n")
    control = {"id": "x", "type": "firewall", "state": {"want": "deny"}}
    for output, status in (
        ("Error: No such file or directory\nlist table inet fleet_hardening", "fail"),
        ("Error: cache initialization failed: Operation not permitted", "error"),
    ):
        machine.answers["nft list"] = (1, output)
        (found,) = evaluate([control], machine.host(in_use={"ports": [80]}), False, {})
        machine.system.forget("nft")
        assert found["status"] == status, output
