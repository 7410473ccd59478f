"""SELinux is never turned on, and never made enforcing, by a run: neither by its configuration nor by the kernel's arguments."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources import selinux
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard

from tests.support.hardening.cases import REGISTER
from tests.support.hardening.machine import Machine
from tests.support.hardening.simulated import Grubby

CONFIG, ENFORCE = "/etc/selinux/config", "/sys/fs/selinux/enforce"
NOT_DISABLED = {"id": "n", "type": "selinux_mode", "state": {"modes": ["permissive", "enforcing"]}}
ENFORCING = {"id": "e", "type": "selinux_mode", "state": {"modes": ["enforcing"]}}


@pytest.fixture(autouse=True)
def _reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "access_paths", lambda *_host: {"Session Manager": True})


def host_with(machine: Machine, configured: str, running: str) -> None:
    machine.put(CONFIG, f"# comment\nSELINUX={configured}\nSELINUXTYPE=targeted\n")
    if running != "off":
        machine.put(ENFORCE, "1" if running == "enforcing" else "0")


@pytest.mark.parametrize("running", ["off", "permissive", "enforcing"])
@pytest.mark.parametrize("configured", ["disabled", "permissive", "enforcing", "Permissive", "nonsense"])
@pytest.mark.parametrize("control", [NOT_DISABLED, ENFORCING])
def test_no_run_brings_a_mode_that_needs_a_proof(
    machine: Machine, control: dict[str, object], configured: str, running: str
) -> None:
    host_with(machine, configured, running)
    audit = evaluate([control], machine.host(), False, {})[0]["status"]
    result = evaluate([control], machine.host(), True, {})[0]
    text = machine.text(CONFIG)
    if result["changed"]:
        assert running != "off" and "SELINUX=permissive\n" in text and control is NOT_DISABLED
    else:
        assert f"SELINUX={configured}\n" in text
    assert audit in ("pass", "fail")
    assert result["status"] == {"pass": "pass", "fail": "changed" if result["changed"] else "not_applied_here"}[audit]


@pytest.mark.parametrize(
    ("control", "configured", "running", "status"),
    [
        (NOT_DISABLED, "disabled", "off", "not_applied_here"),
        (NOT_DISABLED, "permissive", "off", "not_applied_here"),
        (NOT_DISABLED, "disabled", "permissive", "changed"),
        (NOT_DISABLED, "permissive", "permissive", "pass"),
        (ENFORCING, "disabled", "off", "not_applied_here"),
        (ENFORCING, "permissive", "permissive", "not_applied_here"),
        (ENFORCING, "enforcing", "permissive", "not_applied_here"),
        (ENFORCING, "enforcing", "enforcing", "pass"),
    ],
)
def test_what_is_reported_says_what_a_person_does(
    machine: Machine, control: dict[str, object], configured: str, running: str, status: str
) -> None:
    host_with(machine, configured, running)
    result = evaluate([control], machine.host(), True, {})[0]
    assert result["status"] == status
    if status == "not_applied_here":
        remedy = "touch /.autorelabel" if running == "off" else "httpd_can_network_connect"
        assert remedy in result["reason"] and "reboot" in result["reason"]


def test_in_a_container_the_kernel_is_not_its_own(machine: Machine) -> None:
    host_with(machine, "disabled", "off")
    result = evaluate([NOT_DISABLED], machine.host(container=True), False, {})[0]
    assert (result["status"], result["reason"]) == ("not_applied_here", "a container has its host's kernel")
    host_with(machine, "permissive", "off")
    assert evaluate([NOT_DISABLED], machine.host(container=True), False, {})[0]["status"] == "pass"


@pytest.mark.parametrize(
    ("argument", "configured", "running", "status"),
    [
        ("selinux", "disabled", "off", "changed"),
        ("selinux", "permissive", "off", "not_applied_here"),
        ("selinux", "enforcing", "off", "not_applied_here"),
        ("selinux", "enforcing", "permissive", "not_applied_here"),
        ("selinux", "permissive", "permissive", "changed"),
        ("enforcing", "permissive", "permissive", "changed"),
        ("enforcing", "enforcing", "permissive", "not_applied_here"),
        ("enforcing", "enforcing", "enforcing", "changed"),
    ],
)
def test_an_argument_of_the_kernel_stays_where_the_next_boot_would_be_in_an_unproven_mode(
    machine: Machine, argument: str, configured: str, running: str, status: str
) -> None:
    host_with(machine, configured, running)
    kernels = Grubby(machine, a=f"ro {argument}=0")
    control = {"id": "b", "type": "boot_argument", "state": {"argument": argument}}
    assert evaluate([control], machine.host(), False, {})[0]["status"] == "fail"
    machine.system.forget("boot arguments")
    assert evaluate([control], machine.host(), True, {})[0]["status"] == status
    assert (f"{argument}=0" in kernels.options()["a"]) is (status == "not_applied_here")


def test_no_other_control_writes_the_mode() -> None:
    writes = [
        c.id
        for c in REGISTER
        if c.type in ("setting", "lines", "file")
        and "selinux" in str(c.state.get("path", "")) + str(c.state.get("files", ""))
    ]
    assert writes == ["selinux-policy"]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("SELINUX=permissive\nSELINUX=enforcing\n", "permissive"),
        ("SELINUX = enforcing\n SELINUX=enforcing\n#SELINUX=enforcing\nSELINUX=disabled\r\n", "disabled"),
        ("SELINUX=nonsense\nSELINUX=  Permissive # until May\n", "permissive"),
        ("SELINUXTYPE=targeted\n", None),
    ],
)
def test_the_configured_mode_is_what_libselinux_reads(machine: Machine, text: str, mode: str | None) -> None:
    machine.put(CONFIG, text)
    assert selinux.configured(machine.host()) == mode


def test_a_kernel_without_a_policy_is_off_whatever_it_says_of_enforcing(machine: Machine) -> None:
    host_with(machine, "disabled", "permissive")
    machine.put("/proc/1/attr/current", "kernel\0")
    result = evaluate([NOT_DISABLED], machine.host(), True, {})[0]
    assert result["status"] == "not_applied_here"
    assert "touch /.autorelabel" in result["reason"]
    assert any("mode of the running kernel: off" in line for line in result["evidence"])


@pytest.mark.parametrize("running", ["permissive", "enforcing"])
def test_a_configuration_that_is_gone_is_reported_beside_what_the_kernel_does(machine: Machine, running: str) -> None:
    machine.put(ENFORCE, "1" if running == "enforcing" else "0")
    for control in (NOT_DISABLED, ENFORCING):
        assert evaluate([control], machine.host(), False, {})[0]["status"] == "fail"
        result = evaluate([control], machine.host(), True, {})[0]
        assert (result["status"], "selinux-policy-targeted" in result["reason"]) == ("not_applied_here", True)
        assert any(f"mode of the running kernel: {running}" in line for line in result["evidence"])
    assert not machine.system.exists(CONFIG)


@pytest.mark.parametrize(("configured", "running"), [("enforcing", "permissive"), ("permissive", "enforcing")])
def test_configured_and_running_mode_are_both_shown(machine: Machine, configured: str, running: str) -> None:
    host_with(machine, configured, running)
    evidence = " ".join(evaluate([ENFORCING], machine.host(), False, {})[0]["evidence"])
    assert f"{CONFIG}: SELINUX: {configured}" in evidence
    assert f"mode of the running kernel: {running}" in evidence
