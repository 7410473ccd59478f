"""Packages are listed once the host's first boot is over: cloud-init may install updates in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import role_rules


class Host:
    """A folder with rpm and cloud-init; `status` is what the latter does."""

    def __init__(self, root: Path, status: str | None) -> None:
        self.root = root
        (root / "bin").mkdir()
        self.program("rpm", "echo 'nginx 1:1.24.0-1'")
        if status is not None:
            self.program("cloud-init", status)

    def program(self, name: str, text: str) -> None:
        file = self.root / "bin" / name
        file.write_text(f'#!/bin/sh\necho "{name} $1 $2" >>{self.root}/calls\n{text}\n')
        file.chmod(0o755)

    def boots(self, *, over: bool) -> None:
        (self.root / "cloud-init").mkdir()
        if over:
            (self.root / "cloud-init/result.json").write_text("{}")

    def listed(self, seconds: int = 20) -> tuple[int, str, list[str]]:
        command = role_rules.LOOK.replace("/run/cloud-init", f"{self.root}/cloud-init")
        command = command.replace(f"timeout {role_rules.FIRST_BOOT_SECONDS}", f"timeout {seconds}")
        done = subprocess.run(
            ["sh", "-c", command],
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        calls = (self.root / "calls").read_text().splitlines() if (self.root / "calls").exists() else []
        return (
            done.returncode,
            done.stdout.partition(role_rules.ACCOUNTS_FOLLOW)[0],
            [" ".join(call.split()[:3]) for call in calls],
        )


def test_a_first_boot_under_way_is_waited_for(tmp_path: Path) -> None:
    host = Host(tmp_path, "exit 0")
    host.boots(over=False)
    assert host.listed() == (0, "nginx 1:1.24.0-1\n", ["cloud-init status --wait", "rpm --query --all"])


@pytest.mark.parametrize("code", [1, 2])
def test_one_that_ended_with_errors_is_over_as_well(tmp_path: Path, code: int) -> None:
    host = Host(tmp_path, f"exit {code}")
    host.boots(over=False)
    assert host.listed()[:2] == (0, "nginx 1:1.24.0-1\n")


def test_nothing_is_asked_once_it_is_over(tmp_path: Path) -> None:
    host = Host(tmp_path, "exit 0")
    host.boots(over=True)
    assert host.listed()[2] == ["rpm --query --all"]


@pytest.mark.parametrize("folder", [True, False])
def test_a_host_without_cloud_init_waits_for_nothing(tmp_path: Path, folder: bool) -> None:
    host = Host(tmp_path, None)
    if folder:
        host.boots(over=False)
    assert host.listed()[2] == ["rpm --query --all"]


def test_one_that_does_not_end_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    host = Host(tmp_path, "exec sleep 20")
    host.boots(over=False)
    code, out, _calls = host.listed(seconds=1)
    assert (code, out) == (role_rules.FIRST_BOOT_CODE, "")
    message = role_rules.list_error(code, "")
    assert "cloud-init is still at work after 900 s" in message
    assert "cloud-init status --long" in message
    assert role_rules.list_error(1, "rpmdb: broken") == "Listing the host's packages and accounts: rpmdb: broken"
