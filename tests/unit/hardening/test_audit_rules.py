"""Audit rules: as people write them and as the kernel lists them; those of a host's own programs; the file that is loaded at boot."""

from __future__ import annotations

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.registry import TYPES
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.audit import (
    COMPILED,
    RULES,
    canonical,
    for_machine,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.walk import set_id_programs

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce

PROGRAMS = "-a always,exit -F path={set-id} -F perm=x -F auid>=1000 -F auid!=unset -k privileged"
LISTED = [
    (
        "-a always,exit -F path=/usr/bin/su -F perm=x -F auid>=1000 -F auid!=unset -k privileged",
        "-a always,exit -S all -F path=/usr/bin/su -F perm=x -F auid>=1000 -F auid!=-1 -F key=privileged",
    ),
    (
        "-a always,exit -F arch=b64 -C euid!=uid -F auid!=unset -S execve -k user_emulation",
        "-a always,exit -F arch=b64 -S execve -C uid!=euid -F auid!=-1 -F key=user_emulation",
    ),
    (
        "-a always,exit -F arch=b32 -S adjtimex,settimeofday,clock_settime -k time-change",
        "-a always,exit -F arch=b32 -S settimeofday,adjtimex,clock_settime -F key=time-change",
    ),
    ("-w /etc/selinux/ -p wa -k MAC-policy", "-w /etc/selinux -p wa -k MAC-policy"),
]
"""What was given to auditctl 3.0.9, and what it listed on Linux 6.18."""


@pytest.mark.parametrize(("written", "listed"), LISTED)
def test_a_rule_is_known_again_in_the_kernels_list(written: str, listed: str) -> None:
    assert canonical(written) == canonical(listed)


@pytest.mark.parametrize(
    "other",
    [
        "-a always,exit -F arch=b64 -C euid=uid -F auid!=unset -S execve -k user_emulation",
        "-a always,exit -F arch=b64 -C euid!=gid -F auid!=unset -S execve -k user_emulation",
        "-a always,exit -F arch=b64 -C euid!=uid -F auid!=unset -k user_emulation",
    ],
)
def test_another_comparison_or_no_call_is_another_rule(other: str) -> None:
    assert canonical(other) != canonical(LISTED[1][0])


def test_64_bit_arm_has_not_the_calls_for_modules_that_were_given_up() -> None:
    rule = "-a always,exit -F arch=b64 -S init_module,finit_module,create_module,query_module -k kernel_modules"
    assert for_machine(rule, "aarch64") == rule.replace(",create_module,query_module", "")


def audited(machine: Machine) -> Machine:
    (machine.root / "etc/audit/rules.d").mkdir(parents=True)
    machine.answers["auditctl"] = (0, "")
    machine.put(
        "/proc/self/mounts", "/dev/a / xfs rw 0 0\n/dev/b /data xfs rw,nosuid 0 0\n/dev/c /data/in xfs rw 0 0\n"
    )
    for folder in ("data/in", "usr/bin"):
        (machine.root / folder).mkdir(parents=True)
    return machine


def test_the_programs_with_set_id_bits_of_this_host_get_rules_of_their_own(machine: Machine) -> None:
    host = audited(machine).host(container=True)
    machine.put("/usr/bin/ordinary", "", 0o755)
    machine.put("/usr/bin/root", "", 0o4755)
    machine.put("/usr/bin/group", "", 0o2755)
    machine.put("/data/root", "", 0o4755)
    machine.put("/data/in/root", "", 0o4755)
    assert set_id_programs(host) == ["/data/in/root", "/usr/bin/group", "/usr/bin/root"]
    missing = differences(host, "audit_rule", {"rules": PROGRAMS})
    assert len([what for what, _desired, _found in missing if what.startswith("at boot: ")]) == 3
    machine.put(RULES, "".join(PROGRAMS.replace("{set-id}", path) + "\n" for path in set_id_programs(host)))
    host.system.forget("audit rules")
    still = [what.partition(": ")[0] for what, _desired, _found in differences(host, "audit_rule", {"rules": PROGRAMS})]
    assert still == ["now"] * 3
    machine.put("/usr/bin/new", "", 0o4755)
    host.system.forget("walk")
    missing = differences(host, "audit_rule", {"rules": PROGRAMS})
    assert [what for what, _desired, _found in missing if what.startswith("at boot: ")] == [
        "at boot: " + PROGRAMS.replace("{set-id}", "/usr/bin/new")
    ]


def test_a_watch_whose_directory_is_missing_is_left_out(machine: Machine) -> None:
    """auditctl refuses it, and then loads nothing of what follows it in the file."""
    host = audited(machine).host(container=True)
    rules = ["-w /etc/sysconfig/network -p wa -k x", "-w /etc/later/ -p wa -k x"]
    assert {what for what, _w, _f in differences(host, "audit_rule", {"rules": rules})} == {
        "at boot: " + rules[1], "now: " + rules[1],
    }  # fmt: skip


def augenrules(machine: Machine) -> None:
    """Makes the one file of those in rules.d, as the real one does."""

    def compile_(_argv: object, _stdin: object) -> tuple[int, str]:
        folder = machine.root / "etc/audit/rules.d"
        lines = [line for path in sorted(folder.glob("*.rules")) for line in path.read_text().splitlines()]
        rules = [line for line in lines if line and not line.startswith(("#", "-e"))]
        rules += [line for line in lines if line.startswith("-e")][-1:]
        machine.put(COMPILED, "## generated\n\n" + "\n".join(rules) + "\n")
        return 0, ""

    machine.answers["augenrules"] = compile_


@pytest.mark.parametrize(
    "compiled",
    [
        None,
        "-D\n-w /etc/a -p wa -k a\n-e 2\n",
        "-D\n-w /etc/a -p wa -k a\n-w /etc/b -p wa -k b\n",
        "-D\n-w /etc/a -p wa -k a\n-w /etc/b -p wa -k b\n-w /etc/c -p wa -k c\n-e 2\n",
        "-D\n-e 2\n-w /etc/a -p wa -k a\n-w /etc/b -p wa -k b\n",
        "-D\n-w /etc/a -p wa -k a\n-w /etc/b -p wa -k b\n-e 1\n",
    ],
)
def test_the_file_for_the_boot_is_made_again_where_it_says_something_else(
    machine: Machine, compiled: str | None
) -> None:
    augenrules(audited(machine))
    machine.put("/etc/audit/rules.d/09-first.rules", "# a comment\n-D\n-e 1\n")
    machine.put("/etc/audit/rules.d/10-a.rules", "-w /etc/a  -p wa -k a\n")
    machine.put("/etc/audit/rules.d/99-b.rules", "-w /etc/b -p wa -k b\n-e 2\n")
    if compiled is not None:
        machine.put(COMPILED, compiled)
    enforce(machine.host(), "audit_compiled", {})
    assert machine.text(COMPILED).splitlines()[-1] == "-e 2"


def test_a_rule_that_would_end_the_loading_is_found_and_taken_out_of_our_own_file(machine: Machine) -> None:
    augenrules(audited(machine))
    rules = [
        "-w /etc/a -p wa -k a",
        "-a always,exit -F path=/usr/libexec/gone/program -F perm=x -k privileged",
        "-w /etc/b -p wa -k b",
    ]
    machine.put(RULES, "".join(rule + "\n" for rule in rules))
    machine.put(COMPILED, machine.text(RULES))
    enforce(machine.host(), "audit_compiled", {})
    assert machine.text(RULES).splitlines() == [rules[0], rules[2]]
    others = machine.put("/etc/audit/rules.d/others.rules", rules[1] + "\n")
    TYPES["audit_compiled"].apply(machine.host(), {}, TYPES["audit_compiled"].read(machine.host(), {}))
    assert others.read_text() == rules[1] + "\n"
    assert [what for what, _desired, _found in differences(machine.host(), "audit_compiled", {})] == [rules[1]]


def test_files_are_put_in_order_by_the_numbers_in_their_names(machine: Machine) -> None:
    audited(machine)
    machine.put("/etc/audit/rules.d/9-open.rules", "-e 1\n")
    machine.put("/etc/audit/rules.d/10-lock.rules", "-e 2\n")
    machine.put(COMPILED, "-D\n-e 2\n")
    assert differences(machine.host(), "audit_compiled", {}) == []


def test_a_word_on_locking_is_taken_out_of_whatever_file_has_it(machine: Machine) -> None:
    audited(machine)
    machine.put("/etc/audit/rules.d/a.rules", "-D\n-e 1\n")
    kept = machine.put("/etc/audit/rules.d/z.rules", "-e 2\n")
    before = kept.stat().st_ino
    enforce(machine.host(), "lines", {"path": "/etc/audit/rules.d/*.rules", "absent": r"^-e\s+[01]"})
    assert machine.text("/etc/audit/rules.d/a.rules") == "-D\n"
    assert kept.stat().st_ino == before, "a file that was right was written"
