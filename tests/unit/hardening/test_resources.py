"""Each resource type: reads, says what differs, applies, and then holds."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import NotApplicableError
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.privilege import with_pam_entry
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.probes import listeners
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce
from tests.support.hardening.simulated import kernel_modules


def test_a_file_loses_the_permissions_that_are_too_many_and_no_other(machine: Machine) -> None:
    path = machine.put("/etc/f", "x", 0o466)
    enforce(machine.host(), "file", {"path": "/etc/f", "mode": "0640"})
    assert path.stat().st_mode & 0o777 == 0o440


def test_a_file_with_fewer_permissions_is_left_alone(machine: Machine) -> None:
    machine.put("/etc/f", "x", 0o400)
    assert differences(machine.host(), "file", {"path": "/etc/f", "mode": "0644"}) == []


def test_a_file_of_another_owner_is_given_back_and_keeps_its_mode(machine: Machine) -> None:
    path = machine.put("/etc/f", "x", 0o644)
    import os

    os.chown(path, 1, 1)
    enforce(machine.host(), "file", {"path": "/etc/f", "owner": "root", "group": ["root", "adm"]})
    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (0, 0, 0o644)


def test_a_missing_file_is_not_applicable_but_missing_content_is_written(machine: Machine) -> None:
    with pytest.raises(NotApplicableError, match="does not exist"):
        differences(machine.host(), "file", {"path": "/etc/none", "mode": "0644"})
    enforce(machine.host(), "file", {"path": "/etc/issue", "content": "Keep out\n", "mode": "0644"})
    assert machine.text("/etc/issue") == "Keep out\n"


def test_a_file_that_must_not_be_there_is_removed(machine: Machine) -> None:
    machine.put("/etc/cron.deny", "")
    enforce(machine.host(), "file", {"path": "/etc/cron.deny", "absent": True})


JOURNAL = {
    "files": ["/etc/systemd/journald.conf", "/etc/systemd/journald.conf.d/*.conf"],
    "write": "/etc/systemd/journald.conf.d/zz-ours.conf",
    "section": "Journal",
    "key": "Storage",
    "value": "persistent",
    "restart": "systemd-journald",
}


def test_a_setting_goes_into_our_drop_in_and_the_service_is_restarted_later(machine: Machine) -> None:
    machine.put("/etc/systemd/journald.conf", "[Journal]\nStorage=auto\n")
    host = machine.host()
    enforce(host, "setting", JOURNAL)
    assert machine.text("/etc/systemd/journald.conf") == "[Journal]\nStorage=auto\n"
    assert machine.text("/etc/systemd/journald.conf.d/zz-ours.conf") == "[Journal]\nStorage=persistent\n"
    assert host.after == [("restart", "systemd-journald")]


def test_a_setting_that_a_later_file_overrules_is_corrected_there_too(machine: Machine) -> None:
    machine.put("/etc/systemd/journald.conf.d/zzz-theirs.conf", "[Journal]\nStorage=none\n")
    enforce(machine.host(), "setting", JOURNAL)
    assert machine.text("/etc/systemd/journald.conf.d/zzz-theirs.conf") == "[Journal]\nStorage=persistent\n"


@pytest.mark.parametrize("folder", ["/usr/lib", "/usr/local/lib", "/run"])
def test_a_later_drop_in_of_a_package_or_of_this_boot_is_seen_and_replaced_by_one_in_etc(
    machine: Machine, folder: str
) -> None:
    theirs = machine.put(f"{folder}/systemd/journald.conf.d/zzz-theirs.conf", "[Journal]\nStorage=none\nSeal=no\n")
    host = machine.host()
    assert differences(host, "setting", JOURNAL) == [("Storage", "persistent", "none")]
    enforce(host, "setting", JOURNAL)
    assert machine.text("/etc/systemd/journald.conf.d/zzz-theirs.conf") == "[Journal]\nStorage=persistent\nSeal=no\n"
    assert theirs.read_text() == "[Journal]\nStorage=none\nSeal=no\n"


def test_an_empty_value_of_systemd_is_its_default_again(machine: Machine) -> None:
    machine.put("/etc/systemd/journald.conf", "[Journal]\nStorage=persistent\n")
    machine.put("/etc/systemd/journald.conf.d/10.conf", "[Journal]\nStorage=\n")
    assert differences(machine.host(), "setting", JOURNAL) == [("Storage", "persistent", "not set")]
    with_default = dict(JOURNAL, default="persistent")
    assert differences(machine.host(), "setting", with_default) == []


@pytest.mark.parametrize(
    "path", ["/etc/sysctl.d/99-zzz.conf", "/usr/lib/sysctl.d/99-zzz.conf", "/run/sysctl.d/99-zzz.conf"]
)
def test_a_kernel_parameter_that_a_later_file_sets_is_corrected_there_or_in_one_of_its_name(
    machine: Machine, path: str
) -> None:
    machine.put("/proc/sys/net/ipv4/ip_forward", "0\n")
    machine.put(path, "net/ipv4/ip_forward=1\nvm.swappiness = 5\n")
    enforce(machine.host(), "sysctl", {"name": "net.ipv4.ip_forward", "value": 0})
    assert machine.text("/etc/sysctl.d/99-zzz.conf") == "net.ipv4.ip_forward = 0\nvm.swappiness = 5\n"


RSYSLOG = {
    "path": ["/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"],
    "absent": ["^input.*imtcp"],
    "present": [{"pattern": "^cron\\.", "line": "cron.* /var/log/cron"}],
}


def test_lines_of_several_files_are_read_as_one_configuration(machine: Machine) -> None:
    machine.put("/etc/rsyslog.conf", "a\n")
    machine.put("/etc/rsyslog.d/x.conf", 'cron.* /x\ninput(type="imtcp")\n')
    enforce(machine.host(), "lines", RSYSLOG)
    assert machine.text("/etc/rsyslog.conf") == "a\n"
    assert machine.text("/etc/rsyslog.d/x.conf") == "cron.* /x\n"


def test_a_line_that_none_of_several_files_has_is_added_to_the_first(machine: Machine) -> None:
    machine.put("/etc/rsyslog.conf", "a\n")
    machine.put("/etc/rsyslog.d/x.conf", "b\n")
    enforce(machine.host(), "lines", RSYSLOG)
    assert machine.text("/etc/rsyslog.conf") == "a\ncron.* /var/log/cron\n"
    assert machine.text("/etc/rsyslog.d/x.conf") == "b\n"


def test_a_default_that_holds_needs_no_file(machine: Machine) -> None:
    state = {"files": "/etc/x.conf", "key": "Compress", "value": "yes", "default": "yes"}
    assert differences(machine.host(), "setting", state) == []


def test_lines_are_added_and_removed(machine: Machine) -> None:
    machine.put("/etc/shells", "/bin/bash\n/sbin/nologin\n")
    state = {"path": "/etc/shells", "absent": "nologin$", "present": [{"pattern": "^/bin/sh$", "line": "/bin/sh"}]}
    enforce(machine.host(), "lines", state)
    assert machine.text("/etc/shells") == "/bin/bash\n/bin/sh\n"


def test_lines_are_replaced_where_they_stand(machine: Machine) -> None:
    machine.put("/etc/profile", "if x; then\n    umask 002\nelse\n    umask 022\nfi\numask 077\n")
    umask = {"pattern": r"^\s*umask\s+(?!0?[0-7]?[2367]7\b)[0-7]+", "line": "umask 027"}
    enforce(machine.host(), "lines", {"path": "/etc/profile", "replace": [umask]})
    assert machine.text("/etc/profile") == "if x; then\n    umask 027\nelse\n    umask 027\nfi\numask 077\n"


def test_a_parameter_is_set_for_the_next_boot_and_now(machine: Machine) -> None:
    machine.put("/proc/sys/net/ipv4/ip_forward", "1\n")
    machine.put("/etc/sysctl.conf", "net.ipv4.ip_forward = 1\n")
    enforce(machine.host(), "sysctl", {"name": "net.ipv4.ip_forward", "value": 0})
    assert machine.text("/proc/sys/net/ipv4/ip_forward") == "0"
    assert machine.text("/etc/sysctl.conf") == "net.ipv4.ip_forward = 0\n"
    assert machine.text("/etc/sysctl.d/99-zz-fleet-hardening.conf") == "net.ipv4.ip_forward = 0\n"


def test_a_parameter_that_this_kernel_does_not_have_is_not_applicable(machine: Machine) -> None:
    with pytest.raises(NotApplicableError, match="no kernel\\.yama"):
        differences(machine.host(), "sysctl", {"name": "kernel.yama.ptrace_scope", "value": 1})


def test_a_parameter_that_the_container_may_not_set_is_beyond_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put("/proc/sys/kernel/kptr_restrict", "0\n")
    monkeypatch.setattr(machine.system, "writable", lambda path: False)
    state = {"name": "kernel.kptr_restrict", "value": 1}
    host = machine.host(container=True)
    found = TYPES["sysctl"].read(host, state)
    assert found.beyond == {"now": "the kernel does not let this container change kernel.kptr_restrict"}
    TYPES["sysctl"].apply(host, state, found)
    assert machine.text("/etc/sysctl.d/99-zz-fleet-hardening.conf") == "kernel.kptr_restrict = 1\n"
    assert [what for what, _w, _f in differences(host, "sysctl", state)] == ["now"]


def test_a_module_is_refused_and_unloaded(machine: Machine) -> None:
    kernel_modules(machine, "usb-storage")
    enforce(machine.host(), "kernel_module", {"name": "usb-storage"})
    assert (
        machine.text("/etc/modprobe.d/fleet-hardening.conf")
        == "install usb-storage /bin/false\nblacklist usb-storage\n"
    )


def test_a_package_is_removed_without_what_depends_on_it(machine: Machine) -> None:
    installed = ["telnet", "bash"]

    def erase(argv: list[str], stdin: str | None) -> tuple[int, str]:
        installed.remove(argv[2])
        return 0, ""

    machine.answers = {"rpm -qa": lambda argv, stdin: (0, "\n".join(installed)), "rpm -e telnet": erase}
    enforce(machine.host(), "package", {"name": "telnet", "state": "absent"})


def test_a_package_that_others_need_stays_and_the_reason_is_told(machine: Machine) -> None:
    machine.answers = {"rpm -qa": (0, "telnet"), "rpm -e": (1, "telnet is needed by (installed) tool-1")}
    with pytest.raises(HostError, match="is needed by"):
        enforce(machine.host(), "package", {"name": "telnet", "state": "absent"})


def test_a_service_in_use_is_left_running(machine: Machine) -> None:
    machine.answers["systemctl show"] = (0, "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\n")
    state = {"name": "httpd", "enabled": False, "running": False}
    assert len(differences(machine.host(), "service", state)) == 2
    with pytest.raises(NotApplicableError, match="in use: service httpd"):
        differences(machine.host(in_use={"services": ["httpd.service"]}), "service", state)


STACK = "auth  required  pam_env.so\nauth  sufficient  pam_unix.so try_first_pass nullok\nauth  required pam_deny.so\n"


def test_an_argument_is_taken_out_of_a_pam_entry(machine: Machine) -> None:
    machine.put("/etc/pam.d/system-auth", STACK)
    enforce(
        machine.host(), "pam", {"service": "system-auth", "type": "auth", "module": "pam_unix.so", "without": "nullok"}
    )
    line = machine.text("/etc/pam.d/system-auth").splitlines()[1]
    assert line.split() == ["auth", "sufficient", "pam_unix.so", "try_first_pass"]


def test_a_pam_entry_is_added_where_it_belongs() -> None:
    state = {"type": "auth", "module": "pam_wheel.so", "arguments": "use_uid", "add": "pam_unix"}
    lines = with_pam_entry(STACK, state).splitlines()
    assert lines[1].split() == ["auth", "required", "pam_wheel.so", "use_uid"]
    assert with_pam_entry("\n".join(lines) + "\n", state).splitlines() == lines


PASSWD = "root:x:0:0::/root:/bin/bash\ndaemon:x:2:2::/:/bin/bash\nec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n"


def test_ageing_is_asked_of_passwords_only(machine: Machine) -> None:
    machine.put("/etc/shadow", "root:*LOCK*:1::99999:7:::\na:$6$x$y:1:0:99999:7:::\nkeys-only:!!:1:0:99999:7:::\n")
    state = {"field": "maximum_days", "days": 365, "at_most": True}
    assert differences(machine.host(), "password_aging", state) == [("a maximum_days", "at most 365", "99999")]


def test_accounts_of_programs_in_use_keep_their_shell(machine: Machine) -> None:
    machine.put("/etc/passwd", PASSWD)
    machine.put("/etc/shadow", "")
    assert differences(machine.host(), "system_account", {"want": "shell"}) == [
        ("daemon", "/sbin/nologin", "/bin/bash")
    ]
    assert differences(machine.host(in_use={"users": ["daemon"]}), "system_account", {"want": "shell"}) == []


def test_duplicates_need_a_person(machine: Machine) -> None:
    machine.put("/etc/passwd", PASSWD + "twin:x:1000:1000::/:/bin/bash\n")
    with pytest.raises(HostError, match="needs a person"):
        enforce(machine.host(), "account_list", {"check": "duplicate_uids"})


def test_listening_sockets_are_read_from_the_kernels_table() -> None:
    table = (
        "  sl  local_address\n   0: 00000000:0016 00000000:0000 0A 0\n"
        "   1: 0100007F:0CEA 00000000:0000 0A 0\n"
        "   2: 0A00000A:0050 0B00000A:1F90 01 0\n"
    )
    assert listeners(table) == [("00000000", 22), ("0100007F", 3306)]


def test_a_port_that_nobody_declared_is_found(machine: Machine) -> None:
    machine.put(
        "/proc/net/tcp",
        "head\n 0: 00000000:0016 00000000:0000 0A\n 1: 00000000:270F 00000000:0000 0A\n 2: 0100007F:0CEA 0:0 0A\n",
    )
    found = differences(machine.host(in_use={"ports": [22]}), "probe", {"probe": "listening"})
    assert [what for what, _w, _f in found] == ["TCP port 9999 listens and was not declared in use"]
