"""Controls of sudo: what is read where sudo reads it, and that only the offending part of it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import evaluate
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import guard
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sudo_rules import Policy

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce
from tests.support.sudo import checked

NOPASSWD = {"tag": "NOPASSWD", "spare_users": True}
ASKS = {"option": "!authenticate", "spare_users": True}
PASSWD = """\
root:x:0:0::/root:/bin/bash
nginx:x:990:990::/var/lib/nginx:/sbin/nologin
ec2-user:x:1000:1000::/home/ec2-user:/bin/bash
bob:x:1001:1001::/home/bob:/bin/bash
"""
GROUP = "root:x:0:\nwheel:x:10:ec2-user,bob,nginx\nec2-user:x:1000:\n"
IN_USE = {"users": ["ec2-user", "nginx"]}
AGENT = "# User rules for ssm-user\nssm-user ALL=(ALL) NOPASSWD:ALL\n"


def sudoers(machine: Machine, text: str = "", **files: str) -> None:
    machine.put("/etc/passwd", PASSWD)
    machine.put("/etc/group", GROUP)
    machine.put("/etc/sudoers", text + "#includedir /etc/sudoers.d\n", 0o440)
    for name, content in files.items():
        machine.put(f"/etc/sudoers.d/{name}", content, 0o440)
    machine.answers["visudo"] = (0, "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Defaults use_pty\n", "yes"),
        ("Defaults env_reset, use_pty\n", "yes"),
        ("Defaults env_reset, \\\n  use_pty\n", "yes"),
        ("Defaults !use_pty\n", "no"),
        ("Defaults !!use_pty\n", "yes"),
        ("Defaults:ec2-user use_pty\n", None),
        ("Defaults:ALL use_pty\n", "yes"),
        ("Defaults!/bin/ls use_pty\n", None),
        ("# Defaults use_pty\n", None),
        ("# a comment \\\nDefaults use_pty\n", "yes"),
        ('Defaults badpass_message="a, use_pty"\n', None),
        ("Defaults use_pty # not !use_pty\n", "yes"),
        ("Defaults use_pty\nDefaults !use_pty\n", "no"),
    ],
)
def test_a_sudo_flag_is_found_where_it_applies_to_everybody(machine: Machine, text: str, value: str | None) -> None:
    sudoers(machine, text)
    assert Policy(machine.host()).value("use_pty") == value


@pytest.mark.parametrize("value", ['"/var/log/sudo.log"', "/var/log/sudo.log", "/var/log/sudo\\.log"])
def test_a_sudo_value_is_read_without_its_quotes(machine: Machine, value: str) -> None:
    sudoers(machine, f"Defaults logfile = {value}, use_pty\n")
    assert Policy(machine.host()).value("logfile") == "/var/log/sudo.log"


def test_a_sudo_setting_is_written_only_after_visudo_found_it_good(machine: Machine) -> None:
    sudoers(machine, "root ALL=(ALL) ALL\n")
    machine.answers["visudo -cf"] = (0, "")
    enforce(machine.host(), "sudo_default", {"option": "use_pty", "value": True})
    enforce(machine.host(), "sudo_default", {"option": "logfile", "value": "/var/log/sudo.log"})
    assert machine.text("/etc/sudoers.d/zz_fleet_hardening") == "Defaults use_pty\nDefaults logfile=/var/log/sudo.log\n"
    machine.answers["visudo -cf"] = (1, "stdin:1: syntax error")
    with pytest.raises(HostError, match="syntax error"):
        enforce(machine.host(), "sudo_default", {"option": "timestamp_timeout", "value": 5})
    assert "timestamp" not in machine.text("/etc/sudoers.d/zz_fleet_hardening")


def test_what_sudo_reads_after_our_file_sets_it_no_more(machine: Machine) -> None:
    sudoers(machine, zzz="Defaults lecture, use_pty=x\n")
    machine.put(
        "/etc/sudoers",
        "Defaults !use_pty # before\n#includedir /etc/sudoers.d\nDefaults !use_pty, lecture, !use_pty # after\n@include sudoers.local\n",
    )
    machine.put("/etc/sudoers.local", "Defaults !use_pty\nroot ALL=(ALL) ALL\n")
    enforce(machine.host(), "sudo_default", {"option": "use_pty", "value": True})
    assert machine.text("/etc/sudoers") == (
        "Defaults !use_pty # before\n#includedir /etc/sudoers.d\nDefaults lecture # after\n@include sudoers.local\n"
    )
    assert machine.text("/etc/sudoers.local") == "root ALL=(ALL) ALL\n"
    assert machine.text("/etc/sudoers.d/zzz") == "Defaults lecture\n"


def test_a_policy_without_drop_ins_is_told_and_left_alone(machine: Machine) -> None:
    sudoers(machine)
    machine.put("/etc/sudoers", "root ALL=(ALL) ALL\n# includedir /etc/sudoers.d\n")
    with pytest.raises(HostError, match=r"Add the line '#includedir /etc/sudoers.d'"):
        enforce(machine.host(), "sudo_default", {"option": "use_pty", "value": True})


def test_a_relative_include_is_found_by_the_real_visudo(machine: Machine) -> None:
    sudoers(machine)
    machine.answers["visudo -cf"] = lambda argv, _stdin: checked(Path(argv[2]))
    machine.put("/etc/sudoers.local", "root ALL=(ALL) ALL\n", 0o440)
    machine.put("/etc/sudoers", "bob ALL=(ALL) NOPASSWD: ALL\n@include sudoers.local\n", 0o440)
    enforce(machine.host(), "sudo_rule", NOPASSWD)
    assert machine.text("/etc/sudoers") == "bob ALL=(ALL) PASSWD: ALL\n@include sudoers.local\n"
    assert list((machine.root / "etc").glob(".*")) == [], "what visudo was shown is gone"


def test_files_are_read_as_sudo_reads_them(machine: Machine) -> None:
    sudoers(machine, **{"b": "b ALL=ALL\n", "a": "a ALL=ALL\n", "c.rpmnew": "c ALL=ALL\n", "d~": "d ALL=ALL\n"})
    machine.put(
        "/etc/sudoers",
        "first ALL=ALL\n#includedir /etc/sudoers.d\n@includedir more\n#include /etc/loop\nlast ALL=ALL\n",
    )
    machine.put("/etc/more/e", "e ALL=ALL\n#includedir /etc/none\n")
    machine.put("/etc/more/f/g", "g ALL=ALL\n")
    names = [entry.members[0].name for _source, entry in Policy(machine.host()).entries]
    assert names == ["first", "a", "b", "e", "last"]
    machine.put("/etc/loop", "loop ALL=ALL\n#include loop\n")
    assert len(Policy(machine.host()).entries) < 200


def test_a_line_that_sudo_does_not_read_is_named(machine: Machine) -> None:
    sudoers(machine, bad="# one\nbob ALL NOPASSWD: ALL\n")
    with pytest.raises(HostError, match=r"/etc/sudoers.d/bad, line 2 .*bob ALL NOPASSWD: ALL"):
        differences(machine.host(), "sudo_rule", NOPASSWD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ec2-user ALL=(ALL) \\\n  NOPASSWD: ALL\n", None),
        ("User_Alias AUTOMATION = ec2-user, nginx\nAUTOMATION ALL=(ALL) NOPASSWD: ALL\n", None),
        ("#1000 ALL=(ALL) NOPASSWD: ALL\n", None),
        (AGENT, None),
        ("bob ALL=(ALL) /bin/echo NOPASSWD\\: # NOPASSWD: ALL\n", None),
        ("ec2-user, bob ALL=NOPASSWD: ALL\n", "ec2-user ALL=NOPASSWD: ALL\nbob ALL=PASSWD: ALL\n"),
        ("ssm-user,bob ALL=NOPASSWD: ALL\n", "ssm-user ALL=NOPASSWD: ALL\nbob ALL=PASSWD: ALL\n"),
        # By a group, a program's account gets no rule of its own.
        ("%wheel ALL=NOPASSWD: ALL\n", "ec2-user ALL=NOPASSWD: ALL\n%wheel, !ec2-user ALL=PASSWD: ALL\n"),
        ("#1001 ALL=NOPASSWD: ALL # K\xe4se \xff\n", "#1001 ALL=PASSWD: ALL # K\xe4se \xff\n"),
    ],
)
def test_others_are_asked_for_a_password_and_those_in_use_are_not(
    machine: Machine, before: str, after: str | None
) -> None:
    sudoers(machine)
    path = machine.put("/etc/sudoers.d/10_rules", "")
    path.write_bytes(before.encode("latin-1"))
    host = machine.host(in_use=IN_USE)
    if after is None:
        assert differences(host, "sudo_rule", NOPASSWD) == []
    else:
        enforce(host, "sudo_rule", NOPASSWD)
    assert path.read_bytes() == (after or before).encode("latin-1")


def test_where_nobody_is_spared_every_rule_asks(machine: Machine) -> None:
    sudoers(machine, cloud="ec2-user ALL=(ALL) NOPASSWD:ALL\n", agent=AGENT)
    enforce(machine.host(in_use=IN_USE), "sudo_rule", {"tag": "NOPASSWD"})
    assert machine.text("/etc/sudoers.d/agent").endswith("ssm-user ALL=(ALL) PASSWD:ALL\n")


def test_only_the_setting_goes_and_those_in_use_keep_theirs(machine: Machine) -> None:
    sudoers(
        machine, a="Defaults env_reset, !authenticate, \\\n  use_pty # why\n", b="Defaults:bob,ec2-user !authenticate\n"
    )
    sudoers(machine, "Defaults:ssm-user !authenticate\n")
    enforce(machine.host(in_use=IN_USE), "sudo_rule", ASKS)
    assert machine.text("/etc/sudoers.d/a") == "Defaults env_reset, \\\n  use_pty # why\n"
    assert machine.text("/etc/sudoers.d/b") == "Defaults:ec2-user !authenticate\n"
    assert machine.text("/etc/sudoers").startswith("Defaults:ssm-user !authenticate\n")


def test_the_evidence_names_file_line_and_entry(machine: Machine) -> None:
    sudoers(machine, a="# rules\nbob ALL=(ALL) \\\n  NOPASSWD: ALL # x\n")
    assert differences(machine.host(), "sudo_rule", NOPASSWD) == [
        ("/etc/sudoers.d/a, line 2", "no NOPASSWD", "bob ALL=(ALL) NOPASSWD: ALL")
    ]
    with pytest.raises(HostError, match="'tag' or 'option'"):
        differences(machine.host(), "sudo_rule", {"spare_users": True})


@pytest.mark.parametrize("user", ["ssm-user", "ec2-user"])
def test_who_loses_root_by_sudo_gets_it_back(machine: Machine, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    sudoers(machine, rule=f"{user} ALL=(ALL) NOPASSWD:ALL\n")
    machine.put("/etc/passwd", PASSWD + "ssm-user:x:1002:1002::/home/ssm-user:/bin/sh\n")
    monkeypatch.setattr(guard, "agent_runs", lambda _host: True)

    def sudo(_argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        asked = "NOPASSWD" not in machine.text("/etc/sudoers.d/rule")
        return (1, "sudo: a password is required") if asked else (0, "")

    machine.answers[f"runuser -u {user} -- sudo -n true"] = sudo
    machine.answers["runuser"] = (1, "")
    control = {"id": "c", "type": "sudo_rule", "state": {"tag": "NOPASSWD"}}
    result = evaluate([control], machine.host(), True, {})[0]
    assert result["status"] == "fail" and f"it would have cut: sudo of {user}" in result["reason"]
    assert "NOPASSWD" in machine.text("/etc/sudoers.d/rule")
