"""The role's variables about values: each violation is named with what is allowed; no password is repeated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._app.values import program, violations
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.host_program import imports

from tests.support.pythons import interpreter

URL = "s3://artifacts/runtimes/node-v22.20.0-linux-x64-glibc-217.tar.xz"
RUNTIME = {"url": URL, "sha256": "0" * 64}
GOOD: dict[str, Any] = {
    "os_release": "2023",
    "kind": "nodejs",
    "runtime": {},
    "artifact_url": "s3://artifacts/shop-1.0.0.tar.gz",
    "artifact_sha256": "0" * 64,
    "version": "1.0.0",
    "name": "shop",
    "instances": "2",
    "port_base": 3000,
    "command": "/usr/bin/node-24 --max-old-space-size=512 server.js",
    "parameters_path": "/fleet/shop/prod/config",
    "secrets": [
        {"name": "prod/shop/db", "json_key": "password", "environment": "DATABASE_PASSWORD"},
        {"name": "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/tls-AbCdEf", "file": "tls.key"},
    ],
    "redis": {"host": "cache.internal", "port": "6380", "tls": False},
    "mysql": {"name": "shop", "user": "shop", "pool_size": 20},
    "environment": {"GREETING": "hello"},
    "rotation_interval_seconds": 300,
    "rotation_delay_seconds": 0,
    "python_application": "shop.wsgi:app",
    "release_parameter": "/fleet/shop/prod/release",
    "release_wait_seconds": "60",
    "health_path": "/health?deep=1",
    "version_path": "",
}


def test_good_variables_have_no_violation() -> None:
    assert violations(GOOD) == []
    assert violations({**GOOD, "redis": {}, "secrets": [], "parameters_path": "", "release_parameter": ""}) == []


@pytest.mark.parametrize("release", ["2", "2023"])
@pytest.mark.parametrize(
    ("kind", "command"),
    [("nodejs", ""), ("nodejs", "node server.js"), ("nodejs", "/usr/bin/nodemon x"), ("python", ""), ("java", "java -jar x.jar")],
)  # fmt: skip
def test_every_kind_may_bring_its_runtime_on_both_systems(release: str, kind: str, command: str) -> None:
    assert violations({**GOOD, "os_release": release, "kind": kind, "command": command, "runtime": RUNTIME}) == []


@pytest.mark.parametrize("kind", ["python", "java"])
def test_amazon_linux_2_has_its_own_runtime_for_the_other_kinds(kind: str) -> None:
    assert violations({**GOOD, "os_release": "2", "kind": kind}) == []


@pytest.mark.parametrize(
    ("kind", "program", "instead"),
    [
        ("nodejs", "/usr/bin/node", "node"), ("nodejs", "/usr/bin/nodejs", "node"), ("python", "/usr/bin/python3.11", "python3"),
        ("java", "/usr/bin/java", "java"),
    ],
)  # fmt: skip
def test_the_systems_own_program_is_refused_where_a_runtime_is_brought(kind: str, program: str, instead: str) -> None:
    (found,) = violations({**GOOD, "kind": kind, "command": f"{program} x", "runtime": RUNTIME})
    assert found.endswith(f"write {instead} without a path for that one.")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("health_path", "health", "app_runtime_health_path is 'health'; it takes a path from / on"),
        ("health_path", "/gesund/pr\u00fcfung", "of ASCII"),
        ("version_path", "/a b", "without blanks"),
        ("version_path", "/a\r\nHost: x", "without blanks"),
        ("parameters_path", "fleet/config", "app_runtime_parameters_path is 'fleet/config'; it takes a path such as /fleet"),
        ("parameters_path", "/aws/service/x", "not below /aws"),
        ("secrets", [{"name": "a b", "file": "x"}], "app_runtime_secrets[0].name is 'a b'"),
        ("secrets", [{"name": "a"}], "needs exactly one of environment and file"),
        ("secrets", [{"name": "a", "environment": "A", "file": "a"}], "needs exactly one of environment and file"),
        ("secrets", [{"name": "a", "environment": "port"}], "environment is 'port'; it takes upper-case letters"),
        ("secrets", [{"name": "a", "environment": "PORT"}], "is 'PORT', which is set by the unit"),
        ("secrets", [{"name": "a", "file": "../x"}], "file is '../x'; it takes a file name"),
        ("secrets", [{"name": "a", "file": "x"}, {"name": "b", "file": "x"}], "sets the file x 2 times"),
        ("redis", {"port": 1}, "app_runtime_redis has no host"),
        ("redis", {"host": "cache", "password": "hunter2"}, "A password is given by app_runtime_secrets"),
        ("redis", {"host": "shop:hunter2@cache"}, "app_runtime_redis.host is not a host name"),
        ("redis", {"host": "cache", "tls": "hunter"}, "app_runtime_redis.tls is 'hunter'; it takes true or false"),
        ("mysql", {"pool_size": "many"}, "app_runtime_mysql.pool_size is 'many'; it takes a whole number"),
        ("command", "/usr/bin/node it's", "app_runtime_command has a quote (') without its other half"),
        ("environment", {"URL": "mysql://shop:hunter2@db/x"}, "app_runtime_environment.URL is an address with a password in it"),
        ("environment", {"DATABASE_PASSWORD": "x"}, "is also set by app_runtime_secrets"),
        ("rotation_interval_seconds", 5, "app_runtime_rotation_interval_seconds is 5; it takes 60 or more"),
        ("rotation_delay_seconds", -1, "app_runtime_rotation_delay_seconds is -1"),
        ("python_application", "app; rm -rf /", "it takes module:object"),
        ("artifact_url", "http://example.com/x", "app_runtime_artifact_url is 'http://example.com/x'; it takes s3://bucket/key"),
        ("artifact_sha256", "", "app_runtime_artifact_sha256 is ''; it takes 64 hexadecimal digits"),
        ("runtime", {"url": URL}, "app_runtime_runtime has no sha256; it takes url and sha256 together, or nothing"),
        ("runtime", {"sha256": "0" * 64}, "app_runtime_runtime has no url; it takes url and sha256 together, or nothing"),
        ("runtime", {"url": "http://x/y", "sha256": "0" * 64}, "app_runtime_runtime.url is 'http://x/y'; it takes s3://bucket/key"),
        ("runtime", {"url": URL, "sha256": "F" * 64}, "; it takes 64 hexadecimal digits in lower case"),
        ("runtime", {"url": URL, "sha256": None}, "app_runtime_runtime.sha256 is 'None'; it takes 64 hexadecimal digits"),
        ("runtime", {**RUNTIME, "md5": "x"}, "app_runtime_runtime.md5 is not known; it takes url and sha256"),
        ("runtime", RUNTIME, "begins with /usr/bin/node-24, the system's own program, but app_runtime_runtime brings another; write node"),
        ("os_release", "2", "Amazon Linux 2 has no package of Node.js, so it takes {url, sha256} of an archive"),
        ("version", "../1", "app_runtime_version is '../1'; it takes letters, digits"),
        ("name", "Shop", "app_runtime_name is 'Shop'; it takes a lower-case letter"),
        ("instances", 0, "app_runtime_instances is 0 and app_runtime_port_base is 3000; at least one instance is needed"),
        ("release_parameter", "release", "app_runtime_release_parameter is 'release'; it takes the whole name of a parameter"),
        ("release_wait_seconds", 9, "app_runtime_release_wait_seconds is 9; allowed are 10 to 3600 seconds"),
        ("port_base", 1023, "must be between 1024 and 65535"),
        ("port_base", 65535, "must be between 1024 and 65535"),
    ],
)  # fmt: skip
def test_a_violation_is_named_and_a_password_is_not_repeated(name: str, value: Any, message: str) -> None:
    found = violations({**GOOD, name: value})
    assert any(message in sentence for sentence in found), found
    assert "hunter2" not in " ".join(found)


def test_what_a_file_of_the_program_imports_is_named_however_it_is_written() -> None:
    text = """
import os
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import lock, links
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.units import Units
from ansible.module_utils.urls import open_url
from .._host.imds import Imds
from .._host import systemd
from .sources import Aws
from . import value_store
"""
    assert imports("_app/configuration", text) == [
        "_host/lock", "_host/links", "_app/units", "_host/imds", "_host/systemd", "_app/sources", "_app/value_store",
    ]  # fmt: skip


@pytest.mark.parametrize("python", [sys.executable, "3.7"])
def test_the_program_runs_from_its_files_alone(python: str, tmp_path: Path) -> None:
    """As on the host (Amazon Linux 2 has Python 3.7): no Ansible, nothing of the collection but these files."""
    found = Path(python) if python == sys.executable else interpreter(python)
    if found is None:
        pytest.skip(f"there is no Python {python}")
    for file in program(str(tmp_path / "lib")):
        Path(file["path"]).parent.mkdir(parents=True, exist_ok=True)
        Path(file["path"]).write_text(file["content"])
    desired = {
        "name": "shop", "root": str(tmp_path), "lock": str(tmp_path / "lock"), "values_directory": str(tmp_path / "values"),
        "values_group": "", "ports": [], "health_path": "", "version_path": "", "ready_seconds": 1, "pause_seconds": 0,
        "region": "us-east-1", "parameters_path": "/shop/config", "secrets": [],
    }  # fmt: skip
    (tmp_path / "configuration.json").write_text(json.dumps(desired))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/aws").write_text("#!/bin/sh\necho 'An error occurred (AccessDeniedException)' >&2; exit 254\n")
    (tmp_path / "bin/aws").chmod(0o755)
    module = "ansible_collections.ecommerce.fleet.plugins.module_utils._app.configuration"
    done = subprocess.run(
        [str(found), "-S", "-m", module, "fetch", str(tmp_path / "configuration.json")],
        env={"PYTHONPATH": str(tmp_path / "lib"), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    expected = "the instance's role may not read the path /shop/config in us-east-1; it needs ssm:GetParametersByPath"
    assert done.stderr.startswith(f"shop: {expected}")
    assert (tmp_path / "values/error").read_text().startswith(expected)
