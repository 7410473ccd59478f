"""The role's variables about values: each fault is named with what is allowed; no password is repeated."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.app_values import faults, program

GOOD: dict[str, Any] = {
    "app_runtime_parameters_path": "/fleet/shop/prod/config",
    "app_runtime_secrets": [
        {"name": "prod/shop/db", "json_key": "password", "environment": "DATABASE_PASSWORD"},
        {"name": "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/tls-AbCdEf", "file": "tls.key"},
    ],
    "app_runtime_redis": {"host": "cache.internal", "port": "6380", "tls": False},
    "app_runtime_mysql": {"name": "shop", "user": "shop", "pool_size": 20},
    "app_runtime_environment": {"GREETING": "hello"},
    "app_runtime_rotation_interval_seconds": 300,
    "app_runtime_rotation_delay_seconds": 0,
    "app_runtime_python_application": "shop.wsgi:app",
}


def test_good_variables_have_no_fault() -> None:
    assert faults(GOOD) == []
    assert faults({**GOOD, "app_runtime_redis": {}, "app_runtime_secrets": [], "app_runtime_parameters_path": ""}) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("parameters_path", "fleet/config", "app_runtime_parameters_path is 'fleet/config'; it takes a path such as /fleet"),
        ("parameters_path", "/aws/service/x", "not below /aws"),
        ("secrets", [{"name": "a b", "file": "x"}], "app_runtime_secrets[0].name is 'a b'"),
        ("secrets", [{"name": "a"}], "needs exactly one of environment and file"),
        ("secrets", [{"name": "a", "environment": "A", "file": "a"}], "needs exactly one of environment and file"),
        ("secrets", [{"name": "a", "environment": "port"}], "environment is 'port'; it takes upper-case letters"),
        ("secrets", [{"name": "a", "environment": "PORT"}], "not PORT"),
        ("secrets", [{"name": "a", "file": "../x"}], "file is '../x'; it takes a file name"),
        ("secrets", [{"name": "a", "file": "x"}, {"name": "b", "file": "x"}], "sets the file x 2 times"),
        ("redis", {"port": 1}, "app_runtime_redis has no host"),
        ("redis", {"host": "cache", "password": "hunter2"}, "A password is given by app_runtime_secrets"),
        ("redis", {"host": "shop:hunter2@cache"}, "app_runtime_redis.host is not a host name"),
        ("redis", {"host": "cache", "tls": "hunter"}, "app_runtime_redis.tls is 'hunter'; it takes true or false"),
        ("mysql", {"pool_size": "many"}, "app_runtime_mysql.pool_size is 'many'; it takes a whole number"),
        ("environment", {"URL": "mysql://shop:hunter2@db/x"}, "app_runtime_environment.URL is an address with a password in it"),
        ("environment", {"DATABASE_PASSWORD": "x"}, "is also set by app_runtime_secrets"),
        ("rotation_interval_seconds", 5, "app_runtime_rotation_interval_seconds is 5; it takes 60 or more"),
        ("rotation_delay_seconds", -1, "app_runtime_rotation_delay_seconds is -1"),
        ("python_application", "app; rm -rf /", "it takes module:object"),
    ],
)  # fmt: skip
def test_a_fault_is_named_and_a_password_is_not_repeated(name: str, value: Any, said: str) -> None:
    found = faults({**GOOD, f"app_runtime_{name}": value})
    assert any(said in sentence for sentence in found), found
    assert "hunter2" not in " ".join(found)


@pytest.mark.parametrize("python", [sys.executable, "python3.7"])
def test_the_program_runs_from_its_files_alone(python: str, tmp_path: Path) -> None:
    """As on the host (Amazon Linux 2 has Python 3.7): no Ansible, nothing of the collection but these files."""
    if subprocess.run([shutil.which(python) or "false", "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no {python}")
    for file in program(str(tmp_path / "lib")):
        Path(file["path"]).parent.mkdir(parents=True, exist_ok=True)
        Path(file["path"]).write_text(file["content"])
    wanted = {
        "name": "shop", "root": str(tmp_path), "lock": str(tmp_path / "lock"), "values_directory": str(tmp_path / "values"),
        "values_group": "", "ports": [], "health_path": "", "version_path": "", "ready_seconds": 1, "pause_seconds": 0,
        "region": "us-east-1", "parameters_path": "/shop/config", "secrets": [],
    }  # fmt: skip
    (tmp_path / "configuration.json").write_text(json.dumps(wanted))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/aws").write_text("#!/bin/sh\necho 'An error occurred (AccessDeniedException)' >&2; exit 254\n")
    (tmp_path / "bin/aws").chmod(0o755)
    module = "ansible_collections.ecommerce.fleet.plugins.module_utils.app_configuration"
    done = subprocess.run(
        [str(shutil.which(python)), "-S", "-m", module, "fetch", str(tmp_path / "configuration.json")],
        env={"PYTHONPATH": str(tmp_path / "lib"), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    expected = "the instance's role may not read the path /shop/config in us-east-1; it needs ssm:GetParametersByPath"
    assert done.stderr.startswith(f"shop: {expected}")
    assert (tmp_path / "values/trouble").read_text().startswith(expected)
