"""What is decided with the image: the boot loader's arguments and the file systems; what the disk and the processes tell."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import NotApplicableError
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.boot import with_default_argument

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce

GRUB, COMMAND_LINE = "/etc/default/grub", "/etc/kernel/cmdline"
TMP = "/tmp"  # noqa: S108 - the mount point itself


def boots(machine: Machine, arguments: str) -> None:
    machine.answers["grubby --info"] = (0, f'index=0\nkernel="/boot/a"\nargs="{arguments}"\n')
    machine.answers["grubby --update-kernel"] = (0, "")


@pytest.mark.parametrize("path", [GRUB, COMMAND_LINE])
def test_kernels_of_updates_get_the_argument_too(machine: Machine, path: str) -> None:
    boots(machine, "ro audit=1")
    machine.put(GRUB, 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="quiet audit=1"\n')
    machine.put(COMMAND_LINE, "ro audit=1\n")
    machine.put(path, machine.text(path).replace("audit=1", "audit=0"))
    state = {"argument": "audit", "value": "1"}
    assert [what for what, _desired, _found in differences(machine.host(), "boot_argument", state)] == [
        f"{path}: audit"
    ]
    machine.system.forget("boot arguments")
    enforce(machine.host(), "boot_argument", state)
    assert machine.text(GRUB) == 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="quiet audit=1"\n'
    assert machine.text(COMMAND_LINE) == "ro audit=1\n"


def test_an_argument_that_must_not_be_there_is_taken_out_of_every_line(machine: Machine) -> None:
    boots(machine, "ro")
    machine.put(GRUB, "GRUB_CMDLINE_LINUX='a enforcing=0'\nGRUB_CMDLINE_LINUX_DEFAULT=\"enforcing=0 console=tty0\"\n")
    enforce(machine.host(), "boot_argument", {"argument": "enforcing"})
    assert machine.text(GRUB) == "GRUB_CMDLINE_LINUX='a'\nGRUB_CMDLINE_LINUX_DEFAULT=\"console=tty0\"\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'GRUB_CMDLINE_LINUX="audit=1"\n'),
        ("GRUB_TIMEOUT=0", 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="audit=1"\n'),
        ("GRUB_CMDLINE_LINUX=quiet\n", 'GRUB_CMDLINE_LINUX="quiet audit=1"\n'),
        ('GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT="audit=0"\n',
         'GRUB_CMDLINE_LINUX="audit=1"\nGRUB_CMDLINE_LINUX_DEFAULT=""\n'),
        ('#GRUB_CMDLINE_LINUX="audit=0"\n', '#GRUB_CMDLINE_LINUX="audit=0"\nGRUB_CMDLINE_LINUX="audit=1"\n'),
    ],
)  # fmt: skip
def test_the_defaults_of_the_boot_loader_are_changed_in_place(before: str, after: str) -> None:
    assert with_default_argument(before, "audit", "1") == after


def test_a_directory_without_a_file_system_of_its_own_tells_where_that_is_decided(machine: Machine) -> None:
    machine.put("/proc/self/mounts", "/dev/a / xfs rw 0 0\n/dev/b /home xfs rw 0 0\n")
    assert differences(machine.host(), "partition", {"path": "/home"}) == []
    found = TYPES["partition"].read(machine.host(), {"path": "/var"})
    assert found.values == {"now": "no"}
    assert "give /var a volume of its own" in found.beyond["now"]
    with pytest.raises(NotApplicableError, match="in use"):
        TYPES["partition"].read(machine.host(in_use={"mounts": ["/var"]}), {"path": "/var"})


@pytest.mark.parametrize(
    ("enabled", "desired", "at_boot"),
    [
        ("enabled", False, "yes"),
        ("disabled", False, "no"),
        ("masked", True, "no"),
        ("static", True, "yes"),
        ("static", False, "no"),
    ],
)
def test_tmp_becomes_one_at_the_next_boot(machine: Machine, enabled: str, desired: bool, at_boot: str) -> None:
    states = [enabled]

    def enable(_argv: object, _stdin: object) -> tuple[int, str]:
        states.append("enabled")
        return 0, ""

    machine.put("/proc/self/mounts", "/dev/a / xfs rw 0 0\n")
    machine.put("/usr/lib/systemd/system/tmp.mount", "[Mount]\n")
    if desired:
        machine.put("/usr/lib/systemd/system/local-fs.target.wants/tmp.mount", "")
    machine.answers["systemctl is-enabled tmp.mount"] = lambda _argv, _stdin: (0, states[-1])
    machine.answers["systemctl unmask tmp.mount"] = (0, "")
    machine.answers["systemctl enable tmp.mount"] = enable
    host, state = machine.host(), {"path": TMP}
    found = TYPES["partition"].read(host, state)
    assert found.values == {"now": "no", "at boot": at_boot}
    assert list(found.beyond) == ["now"]
    TYPES["partition"].apply(host, state, found)
    assert [what for what, _desired, _found in differences(host, "partition", state)] == ["now"]


def test_log_files_lose_what_others_and_the_group_may_do_with_them(machine: Machine) -> None:
    machine.put("/proc/self/mounts", "/dev/a / xfs rw 0 0\n")
    modes = {
        "messages": 0o640,
        "app/open.log": 0o666,
        "nginx.log-20260101": 0o644,
        "wtmp": 0o664,
        "wtmp-20260101": 0o664,
        "btmp.1": 0o666,
    }
    files = {name: machine.put(f"/var/log/{name}", "", mode) for name, mode in modes.items()}
    machine.put("/srv/open.log", "", 0o644)
    host, state = machine.host(), {"check": "open_logs"}
    assert [what for what, _desired, _found in differences(host, "file_walk", state)] == [
        "/var/log/app/open.log", "/var/log/btmp.1", "/var/log/nginx.log-20260101",
    ]  # fmt: skip
    enforce(host, "file_walk", state)
    assert {name: path.stat().st_mode & 0o777 for name, path in files.items()} == {
        "messages": 0o640, "app/open.log": 0o640, "nginx.log-20260101": 0o640, "wtmp": 0o664, "wtmp-20260101": 0o664, "btmp.1": 0o664,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "file", "is_open"), [(0o750, 0o644, False), (0o751, 0o644, True), (0o750, 0o660, True)]
)
def test_a_log_in_a_directory_that_is_closed_to_others_is_closed(
    machine: Machine, folder: int, file: int, is_open: bool
) -> None:
    machine.put("/proc/self/mounts", "/dev/a / xfs rw 0 0\n")
    machine.put("/var/log/amazon/ssm/agent.log", "", file)
    (machine.root / "var/log/amazon").chmod(folder)
    assert bool(differences(machine.host(), "file_walk", {"check": "open_logs"})) is is_open


def test_a_service_without_a_policy_is_named_unless_it_was_declared(machine: Machine) -> None:
    state = {"probe": "unconfined_services"}
    with pytest.raises(NotApplicableError, match="SELinux"):
        differences(machine.host(), "probe", state)
    machine.put("/sys/fs/selinux/enforce", "0")
    machine.put("/proc/7/attr/current", "system_u:system_r:unconfined_service_t:s0\0")
    machine.put("/proc/7/cgroup", "1:name=systemd:/system.slice/shop.service\n0::/system.slice/shop.service\n")
    machine.put("/proc/8/attr/current", "system_u:system_r:unconfined_service_t:s0\0")
    machine.put("/proc/9/attr/current", "system_u:system_r:sshd_t:s0\0")
    assert [what for what, _desired, _found in differences(machine.host(), "probe", state)] == [
        "process 8 is bound by no policy", "shop is bound by no policy",
    ]  # fmt: skip
    found = differences(machine.host(in_use={"services": ["shop"]}), "probe", state)
    assert [what for what, _desired, _found in found] == ["process 8 is bound by no policy"]


def test_a_module_that_brings_sha1_back_is_as_bad_as_the_legacy_policy(machine: Machine) -> None:
    machine.put("/etc/crypto-policies/config", "DEFAULT:SHA1\n")
    state = {"value": "DEFAULT", "refuse": ["LEGACY", "SHA1"]}
    assert differences(machine.host(), "crypto_policy", state) == [("policy", "DEFAULT", "DEFAULT:SHA1")]
