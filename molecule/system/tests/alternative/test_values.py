"""A host with other than the role's default values; also what the refused runs after it must have left alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

PLUGINS = "versionlock,yum_versionlock"


def test_the_host_has_the_name_that_the_template_stands_for(host: Any) -> None:
    instance = host.check_output("cat /var/lib/cloud/data/instance-id")
    assert host.check_output("hostname") == f"web-{instance}.system"


def test_cloud_init_leaves_the_name_alone(host: Any) -> None:
    name = host.check_output("hostname")
    host.check_output("cloud-init init")
    assert (host.check_output("hostname"), host.check_output("cat /etc/hostname")) == (name, name)


def test_the_clock_shows_local_time(host: Any) -> None:
    assert host.check_output("date +%z") == "-0300"


def test_services_get_the_locale(host: Any) -> None:
    shown = host.check_output("env -i bash -c '. /etc/locale.conf; export LANG; locale'")
    assert "LANG=C\n" in f"{shown}\n"


def test_the_later_setting_of_a_name_wins_in_the_kernel_and_in_the_file(host: Any) -> None:
    assert host.check_output("cat /proc/sys/net/ipv4/tcp_fin_timeout") == "20"
    assert host.check_output("grep tcp_fin_timeout /etc/sysctl.d/60-fleet.conf").count("=") == 1


def test_the_journal_is_smaller(host: Any) -> None:
    assert "SystemMaxUse=64M" in host.check_output("cat /etc/systemd/journald.conf.d/60-fleet.conf")


def test_a_container_gets_no_swap_file_and_no_entry_for_one(host: Any) -> None:
    assert host.file("/run/systemd/container").exists
    assert not host.file("/swapfile").exists
    assert "swap" not in host.check_output("cat /etc/fstab 2>/dev/null || true")


@pytest.fixture(scope="module")
def update() -> Iterator[None]:
    """A security update of openssl-libs, in this lab's repositories."""
    subprocess.run(["lab", "advisory", "publish"], check=True, timeout=60)
    yield
    subprocess.run(["lab", "advisory", "withdraw"], check=True, timeout=60)


@pytest.mark.usefixtures("update")
def test_an_update_of_a_locked_package_is_not_offered(host: Any) -> None:
    offered = host.run(f"dnf -q --refresh --disableplugin={PLUGINS} check-update openssl-libs")
    assert (offered.rc, "openssl-libs" in offered.stdout) == (100, True), offered.stderr
    held = host.run("dnf -q --refresh check-update openssl-libs")
    assert (held.rc, held.stdout.strip()) == (0, ""), held.stderr
