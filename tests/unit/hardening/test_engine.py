"""The engine and the lock-out guard, on a machine of files and answered commands."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.applies import why_not
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.host import Host
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.host import read_release

from tests.support.hardening.machine import Machine
from tests.support.hardening.simulated import Systemd


def file_control(**more: Any) -> dict[str, Any]:
    return {"id": "f", "type": "file", "state": {"path": "/etc/f", "mode": "0600"}, **more}


def status(
    machine: Machine, control: dict[str, Any], *, enforce: bool, host: Host | None = None, excepted: bool = False
) -> dict[str, Any]:
    reasons = {control["id"]: "agreed (me, until 2030-01-01)"} if excepted else {}
    return evaluate([control], host or machine.host(), enforce, reasons)[0]


def test_an_audit_finds_and_changes_nothing(machine: Machine) -> None:
    path = machine.put("/etc/f", "x", 0o666)
    result = status(machine, file_control(), enforce=False)
    assert (result["status"], result["changed"]) == ("fail", False)
    assert result["evidence"][0] == "/etc/f mode: 0666 (desired: 0600 or less)"
    assert path.stat().st_mode & 0o777 == 0o666


def test_enforcing_changes_once(machine: Machine) -> None:
    machine.put("/etc/f", "x", 0o666)
    assert status(machine, file_control(), enforce=True)["status"] == "changed"
    second = status(machine, file_control(), enforce=True)
    assert (second["status"], second["changed"]) == ("pass", False)


def test_an_excepted_control_is_seen_and_not_enforced(machine: Machine) -> None:
    path = machine.put("/etc/f", "x", 0o666)
    result = status(machine, file_control(), enforce=True, excepted=True)
    assert (result["status"], result["reason"]) == ("excepted", "agreed (me, until 2030-01-01)")
    assert "0666" in result["evidence"][0]
    assert path.stat().st_mode & 0o777 == 0o666


def test_an_excepted_control_that_holds_passes(machine: Machine) -> None:
    machine.put("/etc/f", "x", 0o600)
    assert status(machine, file_control(), enforce=True, excepted=True)["status"] == "pass"


def test_a_change_without_effect_fails(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.put("/etc/f", "x", 0o666)
    monkeypatch.setattr(machine.system, "set_attributes", lambda *a, **k: None)
    result = status(machine, file_control(), enforce=True)
    assert result["status"] == "fail"
    assert "still fails" in result["reason"]


def test_what_this_machine_can_not_set_is_said_and_does_not_pass(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put("/proc/sys/kernel/kptr_restrict", "0\n")
    monkeypatch.setattr(machine.system, "writable", lambda path: False)
    control = {"id": "k", "type": "sysctl", "state": {"name": "kernel.kptr_restrict", "value": 1}}
    host = machine.host(container=True)
    assert status(machine, control, enforce=False, host=host)["status"] == "fail"
    first = status(machine, control, enforce=True, host=host)
    assert (first["status"], first["changed"]) == ("not_applied_here", True)
    second = status(machine, control, enforce=True, host=host)
    assert (second["status"], second["changed"]) == ("not_applied_here", False)


def test_what_another_control_disturbed_is_remediated_in_the_same_run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put("/proc/sys/net/ipv4/conf/all/accept_redirects", "0\n")
    machine.put("/proc/sys/net/ipv4/ip_forward", "1\n")
    machine.put("/etc/sysctl.conf", "net.ipv4.conf.all.accept_redirects=0\n")
    plain = machine.system.set_kernel_value

    def as_the_kernel_does(path: str, text: str) -> bool:
        if path.endswith("ip_forward"):
            plain("/proc/sys/net/ipv4/conf/all/accept_redirects", "1")
        return plain(path, text)

    monkeypatch.setattr(machine.system, "set_kernel_value", as_the_kernel_does)
    names = ("net.ipv4.conf.all.accept_redirects", "net.ipv4.ip_forward")
    controls = [{"id": name, "type": "sysctl", "state": {"name": name, "value": 0}} for name in names]
    assert [item["status"] for item in evaluate(controls, machine.host(), True, {})] == ["changed", "changed"]
    assert [item["status"] for item in evaluate(controls, machine.host(), True, {})] == ["pass", "pass"]


def test_a_service_that_starts_only_once_guarded_controls_hold_is_started_in_the_same_run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "access_paths", lambda *_host: WORKING)
    machine.put("/etc/sudoers", "Defaults !authenticate\n", 0o440)
    machine.answers["visudo"] = (0, "")
    systemd = Systemd(machine, "nftables.service", on=False)
    machine.answers["systemctl start"] = lambda argv, stdin: (
        (1, "control process exited") if "!" in machine.text("/etc/sudoers") else systemd.change(argv, stdin)
    )
    controls = [
        {"id": "a", "type": "service", "state": {"name": "nftables", "enabled": True, "running": True}},
        {"id": "b", "type": "sudo_rule", "state": {"option": "!authenticate"}},
    ]
    assert [item["status"] for item in evaluate(controls, machine.host(), True, {})] == ["changed", "changed"]


def test_one_bad_setting_of_sshd_does_not_keep_the_good_ones_out(
    ssh_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "access_paths", lambda *_host: WORKING)
    ssh_machine.answers["sshd -t"] = lambda argv, stdin: (
        (255, "Bad value")
        if "Banner" in (ssh_machine.system.read("/etc/ssh/sshd_config.d/00-fleet-hardening.conf") or "")
        else (0, "")
    )
    known = ssh_machine.answers["sshd -T"]
    ssh_machine.answers["sshd -T"] = lambda argv, stdin: (0, known(argv, stdin)[1] + "banner none\n")
    bad = {"id": "b", "type": "sshd", "state": {"option": "Banner", "value": "/etc/issue"}}
    results = evaluate([bad, SSHD], ssh_machine.host(), True, {})
    assert [(item["id"], item["status"]) for item in results] == [("b", "fail"), ("s", "changed")]
    assert "Bad value" in results[0]["reason"]


def test_a_state_of_the_release_takes_the_place_of_the_general_one(machine: Machine) -> None:
    machine.put("/etc/f", "x", 0o644)
    control = file_control(per_os={"al2": {"path": "/etc/f", "mode": "0644"}})
    assert status(machine, control, enforce=False, host=machine.host("al2"))["status"] == "pass"
    assert status(machine, control, enforce=False, host=machine.host("al2023"))["status"] == "fail"


@pytest.mark.parametrize(
    ("applies", "reason"),
    [
        ({"os": ["al2"]}, "not part of this release"),
        ({"path": "/etc/none*"}, "does not exist"),
        ({"package": ["cronie", "cron"]}, "package cronie or cron is not installed"),
        ({"unless_in_use": {"ports": [111]}}, "in use: port 111 was declared by the playbook"),
        ({"container": False}, "not meaningful in a container"),
        ({"service": ["cups", "lpd"]}, "service cups or lpd is not there"),
        ({"service": ["cups", "nginx"]}, None),
        ({"in_use": {"services": ["nginx"]}}, "not in use: the playbook declared no service nginx"),
        ({"in_use": {"ports": [111, 222]}}, None),
        ({"package": "bash", "os": ["al2023"]}, None),
    ],
)
def test_a_control_that_does_not_apply_says_why(machine: Machine, applies: dict[str, Any], reason: str | None) -> None:
    machine.answers["rpm -qa"] = (0, "bash\n")
    machine.answers["systemctl show"] = lambda argv, _stdin: (
        0,
        f"LoadState={'loaded' if argv[-1] == 'nginx.service' else 'not-found'}\n",
    )
    found = why_not(machine.host("al2023", {"ports": [22, 111]}, container=True), applies)
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_another_system_is_refused(machine: Machine) -> None:
    machine.put("/etc/os-release", 'ID="ubuntu"\nVERSION_ID="24.04"\n')
    with pytest.raises(HostError, match=r"'ubuntu 24\.04'"):
        read_release(machine.system)


# The lock-out guard

SSHD = {"id": "s", "type": "sshd", "state": {"option": "X11Forwarding", "value": "no"}}
WORKING = {"SSH port 22": True, "SSH session of ec2-user": True, "sudo of ec2-user": True, "key of ec2-user": True}


@pytest.fixture
def ssh_machine(machine: Machine) -> Machine:
    """An sshd whose X11Forwarding is what the drop-in says."""
    machine.put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")

    def effective(argv: list[str], stdin: str | None) -> tuple[int, str]:
        ours = machine.system.read("/etc/ssh/sshd_config.d/00-fleet-hardening.conf") or ""
        return 0, "port 22\nx11forwarding %s\n" % ("no" if "X11Forwarding no" in ours else "yes")

    machine.answers = {
        "sshd -T": effective,
        "sshd -t": (0, ""),
        "systemctl is-active sshd": (0, "active"),
        "systemctl reload sshd": (0, ""),
    }
    return machine


def ways(monkeypatch: pytest.MonkeyPatch, *states: dict[str, bool]) -> None:
    queue = list(states)
    monkeypatch.setattr(guard, "access_paths", lambda *_host: queue.pop(0))


def test_a_change_after_which_everybody_gets_in_stays(ssh_machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    ways(monkeypatch, WORKING, WORKING)
    assert status(ssh_machine, SSHD, enforce=True)["status"] == "changed"
    assert "systemctl reload sshd" in ssh_machine.asked


def test_a_change_that_cuts_an_access_path_is_undone_and_named(
    ssh_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways(monkeypatch, WORKING, {**WORKING, "SSH session of ec2-user": False})
    result = status(ssh_machine, SSHD, enforce=True)
    assert result["status"] == "fail"
    assert "undone, because it would have cut: SSH session of ec2-user" in result["reason"]
    assert not ssh_machine.system.exists("/etc/ssh/sshd_config.d/00-fleet-hardening.conf")
    assert ssh_machine.asked.count("systemctl reload sshd") == 2, "the daemon must read the restored files"


def test_a_change_that_sshd_refuses_is_undone_before_the_daemon_sees_it(
    ssh_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways(monkeypatch, WORKING)
    ssh_machine.answers["sshd -t"] = (255, "Bad configuration option: X11Forwarding")
    result = status(ssh_machine, SSHD, enforce=True)
    assert "Bad configuration option" in result["reason"]
    assert not ssh_machine.system.exists("/etc/ssh/sshd_config.d/00-fleet-hardening.conf")


def test_nothing_is_changed_where_a_password_may_be_the_only_access_path(
    ssh_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways(monkeypatch, {**WORKING, "key of ec2-user": False, "Session Manager": False})
    result = status(ssh_machine, SSHD, enforce=True)
    assert result["status"] == "fail"
    assert "a password may be the last access path" in result["reason"]
    assert not ssh_machine.system.exists("/etc/ssh/sshd_config.d/00-fleet-hardening.conf")


def test_without_keys_session_manager_is_an_access_path() -> None:
    assert guard.refusal("sshd", {"key of ec2-user": False, "Session Manager": True}) is None


def test_a_way_that_never_worked_is_not_lost() -> None:
    assert guard.lost({"a": True, "b": False, "c": True}, {"a": True, "b": False}) == ["c"]


def test_what_the_first_group_saw_working_is_asked_of_the_last(
    ssh_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sshd dies while the sshd group is changed: the sudo group must not take that for how things were."""
    ssh_machine.put("/etc/sudoers", "Defaults !authenticate\n", 0o440)
    ssh_machine.answers["visudo"] = (0, "")
    dead = dict.fromkeys(WORKING, False)
    ways(monkeypatch, WORKING, dead, dead)
    rule = {"id": "a", "type": "sudo_rule", "state": {"option": "!authenticate"}}
    results = evaluate([SSHD, rule], ssh_machine.host(), True, {})
    assert [item["status"] for item in results] == ["fail", "fail"]
    assert "!authenticate" in ssh_machine.text("/etc/sudoers")


def test_sudo_rules_that_cut_root_are_undone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    sudoers = machine.put("/etc/sudoers", "Defaults !authenticate\nec2-user ALL=(ALL) ALL\n", 0o440)
    machine.answers = {"visudo": (0, "")}
    ways(monkeypatch, WORKING, {**WORKING, "sudo of ec2-user": False})
    control = {"id": "a", "type": "sudo_rule", "state": {"option": "!authenticate"}}
    result = status(machine, control, enforce=True)
    assert "it would have cut: sudo of ec2-user" in result["reason"]
    assert "!authenticate" in sudoers.read_text()


def test_a_service_that_starts_only_once_another_control_holds_is_started_in_the_end(machine: Machine) -> None:
    running: list[bool] = []

    def start(_argv: object, _stdin: object) -> tuple[int, str]:
        if not (machine.root / "etc/rules").exists():
            return 1, "Job for filter.service failed"
        running.append(True)
        return 0, ""

    def show(argv: list[str], _stdin: object) -> tuple[int, str]:
        state = "active" if running else "inactive"
        return (
            0,
            f"LoadState=loaded\nUnitFileState=enabled\nActiveState={state}\nConditionResult=yes\nConditionTimestampMonotonic=0\n",
        )

    machine.answers |= {"systemctl": (0, ""), "systemctl start": start, "systemctl show": show}
    controls = [
        {"id": "s", "type": "service", "state": {"name": "filter", "enabled": True, "running": True}},
        {"id": "f", "type": "file", "state": {"path": "/etc/rules", "content": "x\n", "mode": "0600"}},
    ]
    results = evaluate(controls, machine.host(), True, {})
    assert [result["status"] for result in results] == ["changed", "changed"], results


NO_RELOAD = "Failed to reload auditd.service: Job type reload is not applicable for unit auditd.service."


@pytest.mark.parametrize(
    ("said", "killed", "status_", "signalled"),
    [
        (NO_RELOAD, "", "changed", True),
        (NO_RELOAD, "Failed to kill unit auditd.service: No main process to kill", "changed", True),
        (NO_RELOAD, "Failed to kill unit auditd.service: Access denied", "fail", True),
        ("auditd.service is not active, cannot reload.", "", "changed", False),
        ("Unit auditd.service cannot be reloaded because it is inactive.", "", "changed", False),
        ("Failed to reload auditd.service: Access denied", "", "fail", False),
    ],
)
def test_a_daemon_whose_unit_has_no_reload_gets_the_signal_for_it(
    machine: Machine, said: str, killed: str, status_: str, signalled: bool
) -> None:
    machine.put("/etc/audit/auditd.conf", "flush = NONE\n")
    machine.answers |= {"systemctl reload auditd": (1, said), "systemctl kill": (1 if killed else 0, killed)}
    state = {"files": "/etc/audit/auditd.conf", "key": "flush", "value": "SYNC", "separator": " = ", "reload": "auditd"}
    assert status(machine, {"id": "a", "type": "setting", "state": state}, enforce=True)["status"] == status_
    assert ("systemctl kill --kill-who=main --signal=HUP auditd" in machine.asked) is signalled
