"""Whatever one control fails with, its undo included, is named, and the other controls are evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard

from tests.support.attributes import protected
from tests.support.hardening.machine import Machine

WORKING = {"SSH port 22": True, "SSH session of ec2-user": True, "key of ec2-user": True, "Session Manager": True}
BANNER = {"id": "banner", "type": "file", "state": {"path": "/etc/issue.net", "content": "Authorised users only\n"}}
MODE = {"id": "mode", "type": "file", "state": {"path": "/etc/f", "mode": "0600"}}
SETTING = {"id": "setting", "type": "setting", "state": {"files": "/etc/login.defs", "key": "UMASK", "value": "027"}}


@pytest.fixture
def host(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(guard, "access_paths", lambda *_host: WORKING)
    machine.put("/etc/issue.net", "hello\n")
    machine.put("/etc/f", "x", 0o666)
    machine.put("/etc/login.defs", "UMASK=022\n")
    return machine


def evaluated(machine: Machine, *controls: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in evaluate(list(controls), machine.host(), True, {})}


@pytest.mark.parametrize("attribute", ["i", "a"])
@pytest.mark.parametrize("place", ["etc/issue.net", "etc/login.defs", "etc/f"])
def test_a_protected_file_costs_its_own_control_only(host: Machine, place: str, attribute: str) -> None:
    own = {"etc/issue.net": "banner", "etc/login.defs": "setting", "etc/f": "mode"}[place]
    with protected(host.root / place, attribute):
        found = evaluated(host, BANNER, MODE, SETTING)
    assert {name: item["status"] for name, item in found.items()} == {
        name: "fail" if name == own else "changed" for name in found
    }
    assert f"/{place} has the attribute {attribute} (" in found[own]["reason"]
    assert evaluated(host, BANNER, MODE, SETTING)[own]["status"] == "changed", "once the attribute is gone"


def test_sshd_with_a_protected_configuration_fails_and_the_others_are_enforced(host: Machine) -> None:
    main = host.put("/etc/ssh/sshd_config", "X11Forwarding yes\n")
    host.answers |= {
        "sshd -T": (0, "port 22\nx11forwarding yes\n"),
        "sshd -t": (0, ""),
        "systemctl is-active": (0, "active"),
        "systemctl reload": (0, ""),
    }
    ssh = {"id": "ssh", "type": "sshd", "state": {"option": "X11Forwarding", "value": "no"}}
    with protected(main):
        found = evaluated(host, ssh, BANNER)
    assert (found["ssh"]["status"], found["banner"]["status"]) == ("fail", "changed")
    assert "/etc/ssh/sshd_config has the attribute i" in found["ssh"]["reason"]


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), KeyError("x"), ValueError("no number"), RuntimeError("odd")]
)
@pytest.mark.parametrize("method", ["read", "apply"])
def test_what_nobody_thought_of_costs_its_own_control_only(
    host: Machine, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    def trip(*_arguments: object) -> None:
        host.system.write("/etc/half", "done\n")
        raise error

    monkeypatch.setattr(TYPES["setting"], method, trip)
    found = evaluated(host, BANNER, SETTING, MODE)
    tripped = {"read": "error", "apply": "fail"}[method]
    assert [found[name]["status"] for name in ("banner", "setting", "mode")] == ["changed", tripped, "changed"]
    assert type(error).__name__ in found["setting"]["reason"]
    if method == "apply":
        assert not host.system.exists("/etc/half"), "what was half done is undone"


def test_a_proof_that_fails_undoes_the_change(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def paths(*_arguments: object) -> dict[str, bool]:
        asked.append(1)
        if len(asked) > 1:
            raise OSError(28, "No space left on device")
        return WORKING

    monkeypatch.setattr(guard, "access_paths", paths)
    found = evaluated(host, BANNER)
    assert (
        "undone, because proving it ended with OSError: [Errno 28] No space left on device" in found["banner"]["reason"]
    )
    assert host.text("/etc/issue.net") == "hello\n"


def test_an_undo_that_fails_is_named_and_the_other_groups_are_enforced(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The access path is lost, and the file is protected by then, by an agent that watches it, say."""
    monkeypatch.setattr(
        guard,
        "access_paths",
        lambda *_host: {**WORKING, "SSH port 22": "Authorised" not in host.text("/etc/issue.net")},
    )
    host.put("/etc/sudoers", "Defaults !authenticate\n", 0o440)
    host.answers["visudo"] = (0, "")
    kernel = {"id": "module", "type": "kernel_module", "state": {"name": "udf"}}
    restore = host.system.restore

    def while_protected(mark: int) -> list[str]:
        with protected(host.root / "etc/issue.net"):
            return restore(mark)

    monkeypatch.setattr(host.system, "restore", while_protected)
    found = evaluated(host, BANNER, MODE, kernel)
    assert (found["banner"]["status"], found["mode"]["status"], found["module"]["status"]) == (
        "fail",
        "fail",
        "changed",
    )
    for name in ("banner", "mode"):
        assert "undone in part only (/etc/issue.net is not as it was: " in found[name]["reason"]
        assert "because it would have cut: SSH port 22" in found[name]["reason"]
    assert (host.root / "etc/f").stat().st_mode & 0o777 == 0o666, "the rest of the group is undone"


def test_an_sshd_that_does_not_start_again_is_named(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
    host.answers |= {
        "sshd -T": (0, "port 22\nx11forwarding yes\n"),
        "sshd -t": (0, ""),
        "systemctl is-active": (3, "failed"),
        "systemctl restart sshd": (1, "Job for sshd.service failed"),
    }
    states = [WORKING, {}]
    monkeypatch.setattr(guard, "access_paths", lambda *_host: states.pop(0))
    ssh = {"id": "ssh", "type": "sshd", "state": {"option": "X11Forwarding", "value": "no"}}
    found = evaluated(host, ssh, {**SETTING, "type": "kernel_module", "state": {"name": "udf"}})
    assert "undone in part only (systemctl restart sshd: Job for sshd.service failed)" in found["ssh"]["reason"]
    assert found["setting"]["status"] == "changed"
