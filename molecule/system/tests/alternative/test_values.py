"""A host with other than the role's default values."""

from __future__ import annotations

from typing import Any


def test_the_host_has_its_name(host: Any) -> None:
    assert host.check_output("hostname") == f"web-{host.backend.get_hostname()}"


def test_the_later_setting_of_a_name_wins_in_the_kernel_and_in_the_file(host: Any) -> None:
    assert host.check_output("cat /proc/sys/net/ipv4/tcp_fin_timeout") == "20"
    assert host.check_output("grep tcp_fin_timeout /etc/sysctl.d/60-fleet.conf").count("=") == 1


def test_the_journal_is_smaller(host: Any) -> None:
    assert "SystemMaxUse=64M" in host.check_output("cat /etc/systemd/journald.conf.d/60-fleet.conf")
