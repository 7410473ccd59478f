"""A host with the role's default values."""

from __future__ import annotations

import re
from typing import Any

import pytest


def test_time_comes_from_the_amazon_time_sync_service_only(host: Any) -> None:
    sources = [
        line.split()[1]
        for line in host.check_output("chronyd -p -f /etc/chrony.conf").splitlines()
        if line.startswith("server ")
    ]
    assert sources == ["169.254.169.123"]
    assert host.service("chronyd").is_enabled


def test_the_time_service_runs_unless_the_host_may_not_set_the_clock(host: Any) -> None:
    may = "cap_sys_time" in host.check_output("capsh --decode=$(awk '/CapBnd/ {print $2}' /proc/1/status)")
    assert host.service("chronyd").is_running == may


def test_nobody_can_ask_this_host_for_the_time(host: Any) -> None:
    assert not host.socket("udp://0.0.0.0:123").is_listening


def test_the_journal_is_on_the_disk_and_limited(host: Any) -> None:
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert re.findall(r"^SystemMaxUse=(.*)$", settings, re.MULTILINE)[-1] == "512M"
    assert host.check_output("ls /var/log/journal")


def test_log_files_are_rotated_by_a_configuration_that_logrotate_accepts(host: Any) -> None:
    done = host.run("logrotate --debug /etc/logrotate.conf")
    assert done.rc == 0
    assert "error" not in done.stderr


def test_network_settings_are_live(host: Any) -> None:
    assert host.check_output("cat /proc/sys/net/core/somaxconn") == "4096"
    assert host.check_output("cat /proc/sys/net/ipv4/tcp_fin_timeout") == "15"


def test_logins_may_open_many_files(host: Any) -> None:
    if host.run("bash -c 'ulimit -n 65536'").rc != 0:
        pytest.skip("root itself may not open so many files on this machine")
    assert host.check_output("su - ec2-user -c 'ulimit -n'") == "65536"


def test_the_release_says_whether_it_is_still_supported(host: Any) -> None:
    ended = host.check_output(". /etc/os-release; echo $VERSION_ID") == "2"
    fact = host.check_output("cat /etc/ansible/facts.d/fleet.fact")
    assert f"standard_support_ended = {str(ended).lower()}" in fact
