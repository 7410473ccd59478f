"""The patch script: what needs a reboot, what is restarted, and what an agent makes of its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.patch_host import AGENT, BOOTED, OLD, Patched


@pytest.fixture
def host(tmp_path: Path) -> Patched:
    return Patched(tmp_path)


def test_a_host_with_nothing_to_do_neither_reboots_nor_restarts(host: Patched) -> None:
    ended = host.patch()
    assert (ended.code, ended.err) == (0, "")
    assert ended.report == {
        "operation": "Install", "release": "", "updated": [], "updated_count": 0, "restarted": [], "rebooted": False,
        "reboot_needed": False, "reboot_reasons": [], "pending": 0, "missing": [], "log": f"{host.root}/var/log/fleet-patch/c-1.log",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["kernel", "kernel6.12", "kernel6.18", "kernel5", "kernel-rt", "kernel-core", "kernel6.12-modules-core", "glibc", "systemd",
     "dbus", "dbus-broker", "dbus-daemon", "linux-firmware", "microcode_ctl"],
)  # fmt: skip
def test_an_updated_core_package_reboots_the_host_whatever_its_kernel_is_called(host: Patched, name: str) -> None:
    host.updates = [(name, BOOTED + 50)]
    ended = host.patch()
    assert ended.code == 194
    assert f"rebooting, for: {name}" in ended.out


@pytest.mark.parametrize(
    "name",
    ["kernel-tools", "kernel6.12-headers", "kernel-livepatch-6.1.1-1", "kernel6.12-devel", "glibc-locale-source", "systemd-libs",
     "dbus-libs", "python3-dbus", "nginx", "xkernel"],
)  # fmt: skip
def test_other_packages_do_not(host: Patched, name: str) -> None:
    host.updates = [(name, BOOTED + 50)]
    ended = host.patch()
    assert ended.code == 0
    assert (ended.report["updated"], ended.report["reboot_needed"]) == ([f"{name}-1-1.x86_64"], False)


def test_a_kernel_that_came_before_this_boot_needs_no_other(host: Patched) -> None:
    host.updates = [("kernel6.12", BOOTED - 1)]
    assert host.patch().report["reboot_needed"] is False


@pytest.mark.parametrize(
    ("running", "installed"),
    [
        ("6.1.7-1.x86_64", ["kernel 6.1.7-1.x86_64", "kernel 6.1.10-1.x86_64"]),
        ("4.14.9-9.amzn2.aarch64", ["kernel 4.14.9-9.amzn2.aarch64", "kernel 4.14.9-10.amzn2.aarch64"]),
        ("6.12.3-1.x86_64", ["kernel6.12 6.12.3-1.x86_64", "kernel6.12 6.12.4-1.x86_64", "kernel 6.1.7-1.x86_64"]),
        ("6.1.5-1.x86_64", ["kernel 6.1.7-1.x86_64"]),
    ],
)
def test_a_kernel_that_an_earlier_update_left_without_its_reboot_is_due(
    host: Patched, running: str, installed: list[str]
) -> None:
    host.kernels(running, *installed)
    ended = host.patch(RebootOption="NoReboot")
    (reason,) = ended.report["reboot_reasons"]
    assert reason.endswith(f" instead of {running}")
    assert ended.report["reboot_needed"] is True
    assert host.patch(command="c-2").code == 194


@pytest.mark.parametrize(
    ("running", "installed"),
    [
        ("6.1.10-1.x86_64", ["kernel 6.1.7-1.x86_64", "kernel 6.1.10-1.x86_64", "kernel-headers 6.1.11-1.x86_64"]),
        ("6.1.7-1.x86_64", ["kernel 6.1.7-1.x86_64", "kernel6.12 6.12.4-1.x86_64"]),
    ],
)
def test_the_newest_kernel_of_its_package_is_not_due_be_there_one_of_another_package(
    host: Patched, running: str, installed: list[str]
) -> None:
    host.kernels(running, *installed)
    assert host.patch().report["reboot_reasons"] == []


def test_a_kernel_that_is_due_after_the_reboot_as_well_is_reported_and_not_rebooted_for_again(host: Patched) -> None:
    host.kernels("6.1.5-1.x86_64", "kernel 6.1.7-1.x86_64")
    assert host.patch().code == 194
    host.boot("two")
    ended = host.patch()
    assert (ended.code, ended.report["rebooted"], ended.report["reboot_needed"]) == (0, True, True)


def test_the_kernel_of_a_container_is_not_its_own(host: Patched) -> None:
    host.kernels("6.99-host", "kernel 6.1.7-1.x86_64")
    host.program("systemd-detect-virt", "echo systemd-nspawn")
    assert host.patch().report["reboot_needed"] is False


@pytest.mark.parametrize("operation", ["Scan", "Install"])
@pytest.mark.parametrize(
    ("program", "text"),
    [("systemd-detect-virt", "exit 139"), ("uname", "exit 139"), ("uname", ""), ("rpm", "exit 139")],
)
def test_whether_a_reboot_is_needed_is_never_answered_by_a_program_that_crashed(
    host: Patched, program: str, text: str, operation: str
) -> None:
    host.program(program, text)
    assert host.patch(Operation=operation).code not in (0, 194)


def test_a_running_kernel_that_no_package_brought_is_an_error_that_says_so(host: Patched) -> None:
    host.kernels("6.1.5-own", "glibc 2-26.x86_64")
    ended = host.patch()
    assert ended.code == 1
    assert "whether kernel '6.1.5-own' is the newest is unknown" in ended.err


def test_an_rpm_that_cannot_be_asked_ends_the_patch_instead_of_skipping_the_question(host: Patched) -> None:
    host.program("rpm", 'if [ "$2" = --queryformat ]; then echo "rpmdb: broken" >&2; exit 1; fi')
    ended = host.patch()
    assert ended.code not in (0, 194)
    assert "rpmdb: broken" in ended.err


def test_without_permission_to_reboot_the_report_says_that_one_is_needed(host: Patched) -> None:
    host.updates = [("kernel6.12", BOOTED + 50)]
    ended = host.patch(RebootOption="NoReboot")
    assert ended.code == 0
    assert (ended.report["reboot_needed"], ended.report["reboot_reasons"]) == (True, ["kernel6.12"])
    assert host.patch(Operation="Scan").report["reboot_needed"] is True


def test_after_the_reboot_it_reports_what_it_did_before(host: Patched) -> None:
    host.updates = [("kernel6.12", BOOTED + 50)]
    assert host.patch().code == 194
    host.boot("two")
    host.put("proc/stat", f"btime {BOOTED + 200}\n")
    host.updates = []
    ended = host.patch()
    assert (ended.code, ended.report["rebooted"], ended.report["reboot_needed"]) == (0, True, False)
    assert ended.report["updated"] == ["kernel6.12-1-1.x86_64"]


def test_started_again_before_the_host_went_down_it_says_again_that_it_must(host: Patched) -> None:
    host.updates = [("glibc", BOOTED + 50)]
    assert host.patch().code == 194
    ended = host.patch()
    assert ended.code == 194
    assert ended.calls == []


def test_what_a_killed_command_has_left_is_not_taken_for_a_reboot(host: Patched) -> None:
    host.updates = [("glibc", BOOTED + 50)]
    assert host.patch(command="killed").code == 194
    host.boot("two")
    host.put("proc/stat", f"btime {BOOTED + 200}\n")
    host.updates = []
    ended = host.patch(command="c-2")
    assert (ended.report["rebooted"], ended.report["updated"]) == (False, [])


def test_another_command_waits_for_the_reboot_of_the_first_and_reports_it(host: Patched) -> None:
    host.updates = [("glibc", BOOTED + 50)]
    assert host.patch(command="c-1").code == 194
    waiting = host.patch(command="c-2")
    assert (waiting.code, waiting.calls) == (194, [])
    refused = host.patch(command="c-3", RebootOption="NoReboot")
    assert refused.code == 1
    assert "about to reboot, for command c-1" in refused.err
    host.boot("two")
    host.put("proc/stat", f"btime {BOOTED + 200}\n")
    host.updates = []
    assert host.patch(command="c-2").report["rebooted"] is True
    assert host.patch(command="c-1").report["updated"] == ["glibc-1-1.x86_64"]


def test_an_agent_that_does_not_say_the_commands_id_is_told_apart_by_the_scripts_path(host: Patched) -> None:
    host.updates = [("glibc", BOOTED + 50)]
    assert host.patch(command="").code == 194
    (state,) = [path for path in (host.root / "var/lib/fleet-patch").iterdir() if path.is_dir()]
    assert state.name == str(host.root / "patch.sh").replace("/", "_")


def test_services_on_old_files_are_restarted_and_nothing_is_when_the_host_reboots_anyway(host: Patched) -> None:
    host.runs(50, "nginx.service")
    host.runs(51, "nginx.service")
    host.runs(52, "chronyd.service", maps="7f00-7f01 r-xp 0 08:01 42 /usr/lib64/libc.so\n")
    ended = host.patch()
    assert ended.report["restarted"] == ["nginx.service"]
    host.updates = [("glibc", BOOTED + 50)]
    assert not [call for call in host.patch(command="c-2").calls if "restart" in call]


def test_auditd_is_restarted_by_its_own_action(host: Patched) -> None:
    host.runs(60, "auditd.service")
    host.put("usr/libexec/initscripts/legacy-actions/auditd/restart", "").chmod(0o755)
    ended = host.patch()
    assert (ended.code, ended.report["restarted"]) == (0, ["auditd.service"])
    assert "service auditd restart" in ended.calls
    assert "systemctl restart auditd.service" not in ended.calls


def test_a_service_that_nobody_may_stop_and_that_has_no_action_is_a_reason_to_reboot(host: Patched) -> None:
    host.runs(60, "auditd.service")
    ended = host.patch(RebootOption="NoReboot")
    assert (ended.code, ended.report["reboot_needed"]) == (0, True)
    assert host.patch(command="c-2").code == 194


@pytest.mark.parametrize(
    ("service", "properties", "reason"),
    [
        (
            "network.service",
            {"Before": "network-online.target shutdown.target", "Wants": "network-online.target"},
            "carries",
        ),
        (
            "systemd-networkd.service",
            {"Before": "network.target multi-user.target", "Wants": "network.target x.socket"},
            "carries",
        ),
        ("own-vpn.service", {"Before": "network.target", "Requires": "network.target"}, "carries the network"),
        ("cloud-final.service", {"Type": "oneshot"}, "runs once a boot"),
        ("odd.service", {"RefuseManualStart": "yes"}, "refuses a restart"),
    ],
)
def test_a_service_that_carries_the_network_runs_once_or_refuses_is_a_reason_to_reboot(
    host: Patched, service: str, properties: dict[str, str], reason: str
) -> None:
    host.unit(service, **properties)
    host.runs(60, service)
    ended = host.patch(RebootOption="NoReboot")
    assert (ended.code, ended.report["restarted"]) == (0, [])
    assert reason in ended.report["reboot_reasons"][0]
    assert host.patch(command="c-2").code == 194


@pytest.mark.parametrize(
    "properties",
    [
        {"After": "network.target", "Before": "multi-user.target", "Wants": "network.target"},
        {"Before": "network.target", "Wants": "nss-lookup.target"},
        {"Before": "network-pre.target", "Wants": "network-pre.target"},
    ],
)
def test_a_service_that_only_stands_near_the_network_is_restarted(host: Patched, properties: dict[str, str]) -> None:
    host.unit("near.service", **properties)
    host.runs(60, "near.service")
    assert host.patch().report["restarted"] == ["near.service"]


def test_a_systemctl_that_does_not_answer_is_no_permission_to_restart(host: Patched) -> None:
    host.program("systemctl", "exit 1")
    host.runs(60, "nginx.service")
    ended = host.patch()
    assert ended.code == 1
    assert "does not say whether it may be restarted" in ended.err
    assert not [call for call in ended.calls if " restart " in call]


@pytest.mark.parametrize(
    ("cgroup", "service"),
    [
        ("0::/system.slice/systemd-udevd.service/udev", "systemd-udevd.service"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/own.service", None),
        ("0::/user.slice/user-1000.slice/session-3.scope", None),
    ],
)
def test_the_service_of_a_process_is_the_systems_own_not_a_users(
    host: Patched, cgroup: str, service: str | None
) -> None:
    host.runs(60, "x")
    host.put("proc/60/cgroup", cgroup + "\n")
    assert host.patch().report["restarted"] == ([service] if service else [])


def test_a_service_that_does_not_restart_is_named_after_the_others_were_restarted(host: Patched) -> None:
    for pid, service in ((70, "broken.service"), (71, "nginx.service")):
        host.runs(pid, service)
    ended = host.patch()
    assert ended.code == 1
    assert "could not restart: broken.service" in ended.err
    assert "systemctl restart nginx.service" in ended.calls


def test_a_service_that_does_not_restart_does_not_keep_the_host_from_its_reboot(host: Patched) -> None:
    host.runs(70, "broken.service")
    host.updates = [("glibc", BOOTED + 50)]
    assert host.patch().code == 194


@pytest.mark.parametrize("service", ["dbus.service", "dbus-broker.service", "systemd-logind.service"])
def test_the_message_bus_and_the_login_manager_are_never_restarted(host: Patched, service: str) -> None:
    host.runs(80, service)
    assert host.patch().code == 194


def test_the_scripts_own_shell_makes_nothing_of_the_agent_old(host: Patched) -> None:
    ended = host.patch(own_maps=OLD)
    assert not [call for call in ended.calls if AGENT in call]


def test_an_agent_on_old_files_is_restarted_last_and_by_options_that_systemd_219_knows(host: Patched) -> None:
    host.runs(90, AGENT)
    ended = host.patch(own_maps=OLD)
    assert ended.calls[-1] == f"systemd-run --on-active=15 --timer-property=AccuracySec=1s systemctl restart {AGENT}"
    assert ended.report["restarted"] == []
