"""What the role app_runtime renders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Render = Callable[..., str]
UNIT = "etc/systemd/system/app@.service.j2"


@pytest.mark.parametrize("release", ["2", "2023"])
@pytest.mark.parametrize(
    ("kind", "command"), [("nodejs", "/usr/bin/node server.js"), ("python", "/usr/bin/python3 server.py")]
)
def test_each_kind_has_its_command_on_each_release(render: Render, release: str, kind: str, command: str) -> None:
    text = render("app_runtime", UNIT, release, app_runtime_kind=kind)
    assert command in text
    assert "NoNewPrivileges=yes" in text
    assert "/var/log/app/%i.log" in text


def test_an_own_command_is_used(render: Render) -> None:
    text = render("app_runtime", UNIT, app_runtime_command="/usr/bin/node --enable-source-maps main.js")
    assert "ExecStart=/usr/bin/node --enable-source-maps main.js\n" in text


def test_limits_carry_their_units(render: Render) -> None:
    text = render("app_runtime", UNIT, app_runtime_memory_mib=1000, app_runtime_cpu_percent=80)
    assert "MemoryMax=1000M" in text
    assert "MemoryHigh=900M" in text
    assert "CPUQuota=80%" in text


def test_values_of_the_environment_survive_quotes_and_backslashes(render: Render) -> None:
    text = render("app_runtime", "etc/app/environment.j2", app_runtime_environment={"B": 'say "hi" \\ there', "A": 1})
    assert text.splitlines()[-2:] == ['A="1"', 'B="say \\"hi\\" \\\\ there"']


def test_the_exports_follow_the_ports(render: Render) -> None:
    text = render("app_runtime", "etc/logrotate.d/app.j2", app_runtime_name="shop")
    assert "/var/log/shop/*.log {" in text
