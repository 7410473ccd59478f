"""A Python release that brings gunicorn, with one instance and no values to fetch, after a Java release with two."""

from __future__ import annotations

import json
from typing import Any

from fleet_units import environment, exposure, is_amazon_linux_2, main_process


def test_gunicorn_from_the_releases_own_lock_serves(host: Any) -> None:
    assert json.loads(host.check_output("curl -s http://127.0.0.1:3000/version"))["version"] == "1.3.0"
    pid = main_process(host, "app@3000")
    assert "/opt/app/releases/1.3.0/.venv/bin/" in host.check_output(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
    found = environment(host, pid)
    assert found["GREETING"] == 'say "hi" to $HOME, `id` %i \\ é'
    assert (found["NEW_CART"], found["OLD_CART"]) == ("true", "false")
    listed = host.check_output(
        "/opt/app/current/.venv/bin/python -m pip list --format=json --disable-pip-version-check"
    )
    assert {"name": "gunicorn", "version": "23.0.0"} in json.loads(listed)


def test_the_sandbox_leaves_little_open_and_no_memory_is_written_and_run(host: Any) -> None:
    if not is_amazon_linux_2(host):
        assert exposure(host, "app@3000.service") <= 2.0
        assert "MemoryDenyWriteExecute=yes" in host.check_output("systemctl show app@3000 -p MemoryDenyWriteExecute")


def test_a_running_request_is_finished_when_gunicorn_stops(host: Any) -> None:
    script = "(curl -s -o /dev/null -w '%{http_code}' 'http://127.0.0.1:3000/slow?ms=800' & sleep 0.3; systemctl restart app@3000; wait)"
    assert host.check_output(script) == "200"


def test_the_instance_that_is_not_wanted_any_more_is_gone(host: Any) -> None:
    assert not host.socket("tcp://127.0.0.1:3001").is_listening
    assert not host.service("app@3001").is_enabled


def test_values_that_are_not_wanted_any_more_left_nothing(host: Any) -> None:
    assert host.run("ls -d /run/app-values /etc/app/configuration.json /etc/systemd/system/app-*").stdout == ""
    assert host.run("systemctl is-active app-configuration.timer").rc != 0


def test_nothing_is_left_of_the_release_at_boot_that_is_not_asked_for_any_more(host: Any) -> None:
    paths = "/etc/app/release.json /run/app-release /var/lib/app-release.json /usr/local/lib/app-release"
    assert host.run(f"ls -d {paths}").stdout == ""


def test_a_runtime_that_no_kept_release_ran_on_is_gone(host: Any) -> None:
    assert host.check_output("ls -A /opt/app/runtimes") == ""


def test_old_releases_were_removed_but_not_the_one_before(host: Any) -> None:
    assert set(host.check_output("ls -A /opt/app/releases").split()) >= {"1.2.0", "1.3.0"}
    assert len(host.check_output("ls -A /opt/app/releases").split()) <= 3
