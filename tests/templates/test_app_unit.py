"""What the role app_runtime renders."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Render = Callable[..., str]
UNIT = "etc/systemd/system/app@.service.j2"


@pytest.mark.parametrize("release", ["2", "2023"])
@pytest.mark.parametrize(
    ("kind", "command"),
    [("nodejs", "/usr/bin/node server.js"), ("python", "/bin/sh /etc/app/start-python"), ("java", "-jar app.jar")],
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


def test_java_knows_the_limits_of_its_unit(render: Render) -> None:
    text = render("app_runtime", UNIT, app_runtime_kind="java", app_runtime_memory_mib=512, app_runtime_cpu_percent=150)
    assert "ExecStart=/usr/bin/java -XX:MaxRAM=512m -XX:MaxRAMPercentage=60 -XX:ActiveProcessorCount=2 " in text


def test_only_a_python_server_of_our_own_choice_may_not_make_code_while_it_runs(render: Render) -> None:
    for kind, command, allowed in (("python", "", "yes"), ("python", "/usr/bin/pypy x", "no"), ("java", "", "no")):
        text = render("app_runtime", UNIT, app_runtime_kind=kind, app_runtime_command=command)
        assert f"MemoryDenyWriteExecute={allowed}\n" in text


@pytest.mark.parametrize("lists", ["uvicorn", "gunicorn", "python", ""])
def test_a_python_release_is_served_by_what_its_lock_lists(render: Render, tmp_path: Path, lists: str) -> None:
    script = tmp_path / "start"
    script.write_text(render("app_runtime", "etc/app/start-python.j2", app_runtime_stop_seconds=30))
    (tmp_path / "server.py").write_text("print('the standard library')")
    if lists:
        (tmp_path / ".venv/bin").mkdir(parents=True)
        (tmp_path / ".venv/bin" / lists).write_text(f"#!/bin/sh\necho {lists} $*\n")
        (tmp_path / ".venv/bin" / lists).chmod(0o755)
    said = subprocess.check_output(["sh", str(script)], cwd=tmp_path, env={"PORT": "3001"}, text=True).strip()
    assert said.startswith({"": "the standard library", "python": "python server.py"}.get(lists, lists))
    if lists in ("uvicorn", "gunicorn"):
        assert "127.0.0.1" in said
        assert "3001" in said
        assert "28" in said
        assert said.endswith(" app:app")


SECRETS = [{"name": "a", "environment": "A"}, {"name": "b", "file": "tls.key"}]


@pytest.mark.parametrize("release", ["2", "2023"])
def test_the_unit_reads_fetched_values_and_waits_for_them_at_boot(render: Render, release: str) -> None:
    text = render("app_runtime", UNIT, release, app_runtime_secrets=SECRETS)
    assert "EnvironmentFile=/run/app-values/current/environment\n" in text
    assert "After=app-values.service\n" in text
    handed = {"2": "Environment=CREDENTIALS_DIRECTORY=/run/app-values/current/files\n",
              "2023": "LoadCredential=tls.key:/run/app-values/current/files/tls.key\n"}  # fmt: skip
    assert handed[release] in text
    assert "app-values" not in render("app_runtime", UNIT, release)


@pytest.mark.parametrize("name", ["app-values", "app-configuration"])
def test_the_fetching_units_start_the_program(render: Render, name: str) -> None:
    lines = render("app_runtime", f"etc/systemd/system/{name}.service.j2").splitlines()
    assert next(line for line in lines if line.startswith("ExecStart=")).endswith("/etc/app/configuration.json")
    assert "Environment=PYTHONPATH=/usr/local/lib/app-configuration PYTHONDONTWRITEBYTECODE=1" in lines


def test_cache_and_database_are_in_the_environment_and_an_own_value_wins(render: Render) -> None:
    text = render(
        "app_runtime", "etc/app/environment.j2", app_runtime_redis={"host": "cache"}, app_runtime_mysql={"name": "shop"},
        app_runtime_environment={"DATABASE_POOL_SIZE": 3},
    )  # fmt: skip
    assert 'REDIS_URL="rediss://cache:6379/0"' in text
    assert 'REDIS_TTL_SECONDS="3600"' in text
    assert 'DATABASE_HOST="127.0.0.1"' in text
    assert 'DATABASE_PORT="6033"' in text
    assert 'DATABASE_POOL_SIZE="3"' in text
