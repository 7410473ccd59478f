"""Who gets in and what leaves: AllowUsers, the empty group, root's password, the logs' way off the host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources import shipping
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.base import NotApplicableError
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.shipping import (
    AGENT,
    AGENT_SETTINGS,
    FORWARD_FILE,
    UPLOAD,
    UPLOAD_FILE,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.resources.sshd import DROP_IN
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.sshd import MAIN

from tests.support.hardening.machine import Machine
from tests.support.hardening.resources import differences, enforce

PASSWD = """\
root:x:0:0::/root:/bin/bash
nginx:x:990:990::/var/lib/nginx:/sbin/nologin
ec2-user:x:1000:1000::/home/ec2-user:/bin/bash
alice:x:1001:1001::/home/alice:/bin/bash
bob:x:1002:1002::/home/bob:/bin/bash
"""
LOGS = {"logs": ["/var/log/secure", "/var/log/messages"]}
FORWARD = {"host": "logs.example.com", "port": 514, "protocol": "tcp", "restart": "rsyslog"}


def sshd(machine: Machine, *, directory: bool = False) -> None:
    """An sshd that adds up AllowUsers over its files, as sshd does."""
    machine.put("/etc/passwd", PASSWD)
    machine.put("/etc/nsswitch.conf", f"passwd: files {'sss' if directory else ''}\n")
    machine.put(MAIN, "Include /etc/ssh/sshd_config.d/*.conf\n")
    machine.put("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA root\n")
    machine.put("/home/alice/.ssh/authorized_keys", "# none\nssh-ed25519 AAAA alice\n")
    machine.put("/home/bob/.ssh/authorized_keys", "# none\n")

    def effective(_argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        texts = [machine.text(path) for path in (MAIN, DROP_IN) if (machine.root / path.lstrip("/")).exists()]
        found = [line for text in texts for line in text.splitlines() if line.startswith(("AllowUsers", "AllowGroups"))]
        return 0, "\n".join(
            f"{line.split()[0].lower()} {name}" for line in found for name in line.split()[1:]
        ) + "\nport 22"

    machine.answers["sshd -T"] = effective


def test_ssh_is_limited_to_those_in_use_and_those_with_keys(machine: Machine) -> None:
    sshd(machine)
    enforce(machine.host(in_use={"users": ["ec2-user", "nginx"]}), "sshd_users", {})
    assert machine.text(DROP_IN) == "AllowUsers alice ec2-user\n"


def test_a_limit_that_is_there_is_kept_and_gets_those_in_use_only(machine: Machine) -> None:
    sshd(machine)
    machine.put(MAIN, machine.text(MAIN) + "AllowUsers deploy@10.0.0.0/8\n")
    enforce(machine.host(in_use={"users": ["ec2-user"]}), "sshd_users", {})
    assert machine.text(DROP_IN) == "AllowUsers deploy@10.0.0.0/8 ec2-user\n"


@pytest.mark.parametrize("line", ["AllowUsers ec2-*", "AllowGroups wheel"])
def test_a_limit_that_lets_them_in_holds(machine: Machine, line: str) -> None:
    sshd(machine)
    machine.put(MAIN, machine.text(MAIN) + line + "\n")
    assert differences(machine.host(in_use={"users": ["ec2-user"]}), "sshd_users", {}) == []


def test_nobody_is_listed_where_a_directory_knows_them_or_nobody_logs_in(machine: Machine) -> None:
    sshd(machine, directory=True)
    machine.put("/etc/sssd/sssd.conf", "")
    with pytest.raises(NotApplicableError, match="directory"):
        differences(machine.host(), "sshd_users", {})
    sshd(machine)
    (machine.root / "home/alice/.ssh/authorized_keys").unlink()
    with pytest.raises(NotApplicableError, match="nobody logs in"):
        differences(machine.host(), "sshd_users", {})


def test_a_group_is_made_and_emptied(machine: Machine) -> None:
    machine.put("/etc/passwd", PASSWD)
    path = machine.put("/etc/group", "wheel:x:10:ec2-user\n")
    machine.answers["groupadd -r"] = lambda argv, _stdin: (0, str(path.write_text(f"{argv[-1]}:x:992:\n")))
    enforce(machine.host(), "empty_group", {"group": "sugroup"})
    path.write_text("sugroup:x:992:alice,bob\n")

    def leave(argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        return 0, str(path.write_text(path.read_text().replace(argv[-2], "").strip(",\n") + "\n"))

    machine.answers["gpasswd -d"] = leave
    enforce(machine.host(), "empty_group", {"group": "sugroup"})
    assert {"gpasswd -d alice sugroup", "gpasswd -d bob sugroup"} <= set(machine.asked)


def test_a_member_by_primary_group_is_seen_and_what_gpasswd_says_is_told(machine: Machine) -> None:
    machine.put("/etc/passwd", PASSWD)
    machine.put("/etc/group", "sugroup:x:1001:\n")
    machine.answers["gpasswd -d"] = (3, "user 'alice' is not a member of 'sugroup'")
    assert differences(machine.host(), "empty_group", {"group": "sugroup"}) == [("group sugroup", "empty", "alice")]
    with pytest.raises(HostError, match="not a member"):
        enforce(machine.host(), "empty_group", {"group": "sugroup"})


@pytest.mark.parametrize(
    ("field", "good"), [("$6$a$b", True), ("!", True), ("*", True), ("!$6$a$b", True), ("", False), ("x", False)]
)
def test_root_has_a_password_or_a_lock(machine: Machine, field: str, *, good: bool) -> None:
    machine.put("/etc/shadow", f"root:{field}:19000:0:99999:7:::\n")
    assert (differences(machine.host(), "account_list", {"check": "root_password"}) == []) is good


def test_mail_is_taken_from_the_host_itself_only(machine: Machine) -> None:
    machine.put(
        "/proc/net/tcp", "sl local\n0: 0100007F:0019 0:0 0A\n1: 00000000:024B 0:0 0A\n2: 00000000:0050 0:0 0A\n"
    )
    found = differences(machine.host(), "probe", {"probe": "mail_is_local"})
    assert [what for what, _desired, _found in found] == ["TCP port 587 takes mail from the network"]
    assert differences(machine.host(in_use={"ports": [587]}), "probe", {"probe": "mail_is_local"}) == []


def units(machine: Machine, **states: str) -> None:
    def show(argv: Sequence[str], _stdin: str | None) -> tuple[int, str]:
        state = states.get(argv[-1].removesuffix(".service").replace("-", "_"), "")
        return 0, f"LoadState=loaded\nUnitFileState={state}\nActiveState=inactive\n"

    machine.answers["systemctl show"] = show
    for name in (AGENT, "rsyslog", UPLOAD):
        machine.system.forget("unit " + name)


def agent(machine: Machine, *paths: str) -> None:
    entries: list[dict[str, Any]] = [{"file_path": path, "log_group_name": "/aws/ec2/security"} for path in paths]
    settings = {"logs": {"logs_collected": {"files": {"collect_list": entries}}}}
    machine.put(f"{AGENT_SETTINGS}{AGENT}.d/fleet.json", json.dumps(settings))
    machine.put(f"{AGENT_SETTINGS}{AGENT}.d/broken.json", "{")


def test_what_the_agent_collects_leaves_and_the_rest_is_named(machine: Machine) -> None:
    units(machine, amazon_cloudwatch_agent="enabled")
    agent(machine, "/var/log/sec*")
    assert differences(machine.host(), "log_shipping", LOGS) == [
        ("/var/log/messages", "sent to another host", "not set")
    ]
    agent(machine, "/var/log/secure", "/var/log/messages")
    assert differences(machine.host(), "log_shipping", LOGS) == []
    units(machine, amazon_cloudwatch_agent="disabled")
    assert len(differences(machine.host(), "log_shipping", LOGS)) == 2


@pytest.mark.parametrize(
    ("rule", "target"),
    [
        ("*.* @@logs.example.com:514", "logs.example.com:514"),
        ("*.* @@(o)logs.example.com", "logs.example.com"),
        ('*.* action(type="omfwd" protocol="tcp"\n  target="logs.example.com")', "logs.example.com"),
        ('action(type="omrelp" target="logs.example.com")', "logs.example.com"),
        ("#*.* @@logs.example.com", None),
        ("*.* @@localhost:514", None),
        ("*.* @127.0.0.1", None),
        ('*.* action(type="omfwd" target="::1" port="514")', None),
        ("mail.* @@logs.example.com", None),
        ('*.* action(type="omfile" file="/var/log/all")', None),
    ],
)
def test_a_rule_of_rsyslog_for_everything_counts(machine: Machine, rule: str, target: str | None) -> None:
    units(machine, rsyslog="enabled")
    machine.put("/etc/rsyslog.conf", f"# Rules\n{rule}\n")
    assert shipping.sends_everything(machine.host()) == (target and f"rsyslog to {target}")


def test_a_journal_that_is_uploaded_counts_if_it_starts_at_boot(machine: Machine) -> None:
    units(machine, systemd_journal_upload="enabled")
    machine.put(UPLOAD_FILE, "[Upload]\nURL=https://logs.example.com\n")
    assert differences(machine.host(), "log_shipping", LOGS) == []
    units(machine)
    assert len(differences(machine.host(), "log_shipping", LOGS)) == 2


def test_a_declared_agent_that_is_set_up_after_the_controls_is_no_failure_but_missed_by_the_audit(
    machine: Machine,
) -> None:
    host = machine.host(in_use={"services": [AGENT]})
    read = shipping.LogShipping().read
    assert read(host, LOGS).beyond == {}
    host.enforcing = True
    assert set(read(host, LOGS).beyond) == set(LOGS["logs"])


def test_where_nothing_sends_them_the_remedy_is_told(machine: Machine) -> None:
    with pytest.raises(HostError, match="hardening_log_host"):
        enforce(machine.host(), "log_shipping", LOGS)


def test_rsyslog_forwards_everything_to_the_log_host(machine: Machine) -> None:
    units(machine, rsyslog="enabled")
    host = machine.host()
    enforce(host, "rsyslog_forward", FORWARD)
    assert host.after == [("restart", "rsyslog")]
    assert machine.text(FORWARD_FILE).count('target="logs.example.com" port="514" protocol="tcp"') == 1
    assert differences(host, "log_shipping", LOGS) == []
    enforce(host, "rsyslog_forward", {**FORWARD, "host": "10.0.0.9"})


def test_without_a_log_host_nothing_is_forwarded_and_a_wrong_one_is_refused(machine: Machine) -> None:
    with pytest.raises(NotApplicableError, match="hardening_log_host"):
        differences(machine.host(), "rsyslog_forward", {**FORWARD, "host": ""})
    with pytest.raises(HostError, match="correct hardening_log_host"):
        enforce(machine.host(), "rsyslog_forward", {**FORWARD, "host": 'a" b'})
    assert not (machine.root / FORWARD_FILE.lstrip("/")).exists()
