"""What the host fetched for the first release, and who can see it."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_units import environment, exposure, is_amazon_linux_2, main_process, shown

DATABASE = 'first $ "word"'


@pytest.mark.parametrize("port", [3000, 3001])
def test_each_process_has_parameters_secrets_cache_and_database(host: Any, port: int) -> None:
    found = environment(host, main_process(host, f"app@{port}"))
    assert found["LOG_LEVEL"] == "debug"
    assert found["NODE_OPTIONS"] == "--no-deprecation"
    assert found["DATABASE_PASSWORD"] == DATABASE
    assert found["REDIS_URL"] == "rediss://cache.fleet.internal:6379/0"
    assert found["REDIS_TTL_SECONDS"] == "3600"
    assert (found["DATABASE_HOST"], found["DATABASE_PORT"], found["DATABASE_POOL_SIZE"]) == ("127.0.0.1", "6033", "5")


def test_the_process_reads_a_secret_file_and_nobody_else_does(host: Any) -> None:
    pid = main_process(host, "app@3000")
    path = f"{environment(host, pid)['CREDENTIALS_DIRECTORY']}/token"
    assert (
        host.check_output(f"nsenter --target {pid} --mount --setuid $(id -u app) --setgid $(id -g app) cat {path}")
        == "first token"
    )
    assert host.run(f"sudo -u nobody cat {path}").rc != 0


def test_only_root_can_read_the_values(host: Any) -> None:
    assert host.check_output("stat -c '%a %U' -L /run/app-values/current/environment") == "600 root"
    assert host.run("sudo -u app cat /run/app-values/current/environment").rc != 0


def test_no_secret_is_in_a_unit_an_argument_the_journal_or_on_the_disk(host: Any) -> None:
    seen = host.check_output(
        "systemctl show 'app@*' app-values app-configuration; systemctl cat 'app@3000'; ps -eo args; journalctl --no-pager --boot"
    )
    assert "/run/app-values/current/environment" in seen
    # sudo's own log line about these commands is not what is looked for.
    assert [line for line in seen.splitlines() if "first token" in line or DATABASE in line] == []
    assert host.run("grep -rlaE 'first [t]oken|first [$] \"word' /etc /opt /var/log /usr/local").stdout == ""


def test_a_timer_looks_for_changes(host: Any) -> None:
    assert host.service("app-configuration.timer").is_enabled
    assert shown(host, "app-configuration.timer", "ActiveState")["ActiveState"] == "active"


def test_the_sandbox_leaves_little_open(host: Any) -> None:
    """systemd 219 knows fewer walls: what it knows is in the unit (test_app.py sees what comes of it)."""
    if not is_amazon_linux_2(host):
        assert exposure(host, "app@3000.service") <= 2.0


def test_systemd_has_the_limits(host: Any) -> None:
    found = shown(host, "app@3000", "MemoryMax", "MemoryLimit", "CPUQuotaPerSecUSec", "LimitNOFILE")
    assert str(768 * 1024 * 1024) in (found["MemoryMax"], found["MemoryLimit"])
    assert float(found["CPUQuotaPerSecUSec"].rstrip("s")) == 1.5
    assert found["LimitNOFILE"] == "16384"


def test_a_killed_process_comes_back(host: Any) -> None:
    """As the kernel kills one that takes more than its memory. Where the machine may set that limit, it is the kernel that does it."""
    before = main_process(host, "app@3001")
    enforced = host.run("test -w /sys/fs/cgroup/system.slice/system-app.slice/app@3001.service/memory.max").rc == 0
    host.run("curl -s -m 10 'http://127.0.0.1:3001/memory?mib=1500'" if enforced else f"kill -9 {before}")
    assert (
        host.run("for i in $(seq 50); do curl -sf http://127.0.0.1:3001/health && exit; sleep 0.1; done; exit 1").rc
        == 0
    )
    assert main_process(host, "app@3001") not in (0, before)
