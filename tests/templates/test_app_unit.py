"""What the role app_runtime renders."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Render = Callable[..., str]
START = "etc/app/start.j2"
UNIT = "etc/systemd/system/app@.service.j2"


RUNTIME = {"url": "s3://artifacts/node.tar.xz", "sha256": "0123456789abcdef" * 4}
HOME = "/opt/app/runtimes/0123456789abcdef"


@pytest.mark.parametrize("release", ["2", "2023"])
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("nodejs", "exec /usr/bin/node-24 server.js\n"),
        ("python", "exec /usr/bin/python3 server.py\n"),
        ("java", " -jar app.jar\n"),
    ],
)
def test_each_kind_has_its_command_on_each_release(render: Render, release: str, kind: str, command: str) -> None:
    assert command in render("app_runtime", START, release, app_runtime_kind=kind)
    text = render("app_runtime", UNIT, release, app_runtime_kind=kind)
    assert "ExecStart=/bin/sh /etc/app/start\n" in text
    assert "NoNewPrivileges=yes" in text


@pytest.mark.parametrize("release", ["2", "2023"])
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("nodejs", f"exec {HOME}/bin/node server.js\n"),
        ("python", f"exec {HOME}/bin/python3 server.py\n"),
        ("java", f"exec {HOME}/bin/java -XX:"),
    ],
)
def test_a_runtime_takes_the_place_of_the_systems_program_and_of_its_package(
    render: Render, tmp_path: Path, release: str, kind: str, command: str
) -> None:
    text = render("app_runtime", START, release, app_runtime_kind=kind, app_runtime_runtime=RUNTIME)
    assert command in text
    assert "/usr/bin" not in text
    (tmp_path / "packages").write_text("{{ __app_runtime_packages | join(' ') }}")
    for runtime, packages in (
        (RUNTIME, {"2": "xz", "2023": ""}[release]),
        ({}, {"nodejs": "nodejs24", "python": "python3", "java": "java-17-amazon-corretto-headless"}[kind]),
    ):
        variables = {"app_runtime_kind": kind, "app_runtime_runtime": runtime}
        assert render("app_runtime", str(tmp_path / "packages"), release, **variables) == packages


@pytest.mark.parametrize("major", [20, 22, 24])
def test_the_major_of_node_names_its_package_and_its_program(render: Render, tmp_path: Path, major: int) -> None:
    assert f"exec /usr/bin/node-{major} server.js\n" in render("app_runtime", START, app_runtime_nodejs_version=major)
    (tmp_path / "packages").write_text("{{ __app_runtime_packages | join(' ') }}")
    packages = render("app_runtime", str(tmp_path / "packages"), app_runtime_nodejs_version=major)
    assert packages == f"nodejs{major}"


def test_programs_of_a_runtime_are_found_without_a_path(render: Render, tmp_path: Path) -> None:
    text = render(
        "app_runtime", START, app_runtime_runtime=RUNTIME, app_runtime_command="""sh -c 'node "$1"; echo "$PATH"' x y"""
    )
    program = tmp_path / "bin/node"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho this one runs $1\n")
    program.chmod(0o755)
    (tmp_path / "start").write_text(text.replace(HOME, str(tmp_path)))
    environment = {"PORT": "3001", "PATH": "/usr/bin:/bin"}
    said = subprocess.check_output(["sh", str(tmp_path / "start")], cwd=tmp_path, env=environment, text=True)
    assert said.splitlines() == ["this one runs y", f"{tmp_path}/bin:/usr/bin:/bin"]


@pytest.mark.parametrize(
    "variables",
    [
        {"app_runtime_nodejs_version": 22},
        {"app_runtime_runtime": RUNTIME},
        {"app_runtime_kind": "java", "app_runtime_runtime": RUNTIME},
        {"app_runtime_kind": "python", "app_runtime_runtime": RUNTIME},
        {"app_runtime_kind": "python"},
    ],
)
def test_the_metrics_find_the_processes_of_every_runtime(
    render: Render, tmp_path: Path, variables: dict[str, object]
) -> None:
    (tmp_path / "pattern").write_text("{{ app_runtime_processes[0].pattern }}")
    pattern = render("app_runtime", str(tmp_path / "pattern"), **variables)
    started = render("app_runtime", START, **variables).rstrip().splitlines()[-1].removeprefix("exec ")
    assert re.search(pattern, started)


HARD = r"""/usr/bin/node server.js --log=gc-%t.log --h=%H 50%off $HOME ${PORT} %% %i --greeting='Hello shop' a;b "it's" 'a "b"' * ~ `id`
 $(id) # && > x '' 'new
line' é {a,b} !x @ | "\\" '\n'"""
HARD_WORDS = [
    "server.js", "--log=gc-%t.log", "--h=%H", "50%off", "$HOME", "${PORT}", "%%", "%i", "--greeting=Hello shop", "a;b", "it's", 'a "b"',
    "*", "~", "`id`", "$(id)", "#", "&&", ">", "x", "", "new\nline", "é", "{a,b}", "!x", "@", "|", "\\", "\\n",
]  # fmt: skip


@pytest.mark.parametrize("release", ["2", "2023"])
def test_an_own_command_gets_its_words_as_they_are_written(render: Render, tmp_path: Path, release: str) -> None:
    program = tmp_path / "show"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open('{tmp_path}/words', 'w'))\n"
    )
    program.chmod(0o755)
    text = render("app_runtime", START, release, app_runtime_command=HARD.replace("/usr/bin/node", str(program)))
    (tmp_path / "start").write_text(text.replace("/var/log/app", str(tmp_path)))
    subprocess.run(
        ["sh", str(tmp_path / "start")],
        cwd=tmp_path,
        env={"PORT": "3001", "PATH": "/usr/bin:/bin"},
        timeout=20,
        check=True,
    )
    assert json.loads((tmp_path / "words").read_text()) == HARD_WORDS
    assert (tmp_path / "3001.log").exists() == (release == "2")


def test_the_processes_of_an_own_command_are_found_by_its_words(render: Render, tmp_path: Path) -> None:
    (tmp_path / "pattern").write_text("{{ app_runtime_processes[0].pattern }}")
    pattern = render("app_runtime", str(tmp_path / "pattern"), app_runtime_command="/usr/bin/node 'a  b' $X")
    assert re.fullmatch(pattern, "/usr/bin/node a  b $X")


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
    text = render(
        "app_runtime", START, app_runtime_kind="java", app_runtime_memory_mib=512, app_runtime_cpu_percent=150
    )
    assert "exec /usr/bin/java -XX:MaxRAM=512m -XX:MaxRAMPercentage=60 -XX:ActiveProcessorCount=2 " in text


def test_only_a_python_server_of_our_own_choice_may_not_make_code_while_it_runs(render: Render) -> None:
    for kind, command, allowed in (("python", "", "yes"), ("python", "/usr/bin/pypy x", "no"), ("java", "", "no")):
        text = render("app_runtime", UNIT, app_runtime_kind=kind, app_runtime_command=command)
        assert f"MemoryDenyWriteExecute={allowed}\n" in text


@pytest.mark.parametrize("runtime", [None, RUNTIME])
@pytest.mark.parametrize("lists", ["uvicorn", "gunicorn", "python", ""])
def test_a_python_release_is_served_by_what_its_lock_lists(
    render: Render, tmp_path: Path, lists: str, runtime: dict[str, str] | None
) -> None:
    script = tmp_path / "start"
    text = render("app_runtime", START, app_runtime_kind="python", app_runtime_runtime=runtime or {})
    script.write_text(text.replace(f"{HOME}/bin/python3", sys.executable))
    venv = ".venv-0123456789abcdef" if runtime else ".venv"
    (tmp_path / "server.py").write_text("print('the standard library')")
    if lists:
        (tmp_path / venv / "bin").mkdir(parents=True)
        (tmp_path / venv / "bin" / lists).write_text(f"#!/bin/sh\necho {lists} $*\n")
        (tmp_path / venv / "bin" / lists).chmod(0o755)
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


@pytest.mark.parametrize("release", ["2", "2023"])
def test_no_instance_starts_before_the_boot_has_its_release_and_each_try_asks_for_it_again(
    render: Render, release: str
) -> None:
    lines = render("app_runtime", UNIT, release, app_runtime_release_parameter="/fleet/shop/release").splitlines()
    start = lines.index("ExecStart=/bin/sh /etc/app/start")
    assert lines[start - 1] == "ExecStartPre=/usr/bin/test -e /run/app-release"
    assert {"After=app-release.service", "Wants=app-release.service", "Restart=always"} <= set(lines)
    # With Requires=, or with a limit of starts, an instance would stay away for good once the release could not be had.
    assert "Requires=" not in "\n".join(lines)
    assert {"StartLimitInterval=0", "StartLimitIntervalSec=0"} & set(lines)
    assert "app-release" not in render("app_runtime", UNIT, release)


def test_the_release_of_a_boot_is_asked_for_with_the_network_up_and_not_after_a_deployment(render: Render) -> None:
    text = render("app_runtime", "etc/systemd/system/app-release.service.j2", app_runtime_release_parameter="/x")
    lines = text.splitlines()
    assert {"After=network-online.target", "Wants=network-online.target", "Type=oneshot"} <= set(lines)
    assert "ConditionPathExists=!/run/app-release" in lines
    # Where it remained active, the instances could not start it again.
    assert "RemainAfterExit" not in text
    # systemd 219 refuses it for oneshot.
    assert "Restart=" not in text
    assert "ProtectSystem=full" in lines, "it writes /opt and /var"
    start = next(line for line in lines if line.startswith("ExecStart="))
    assert start.endswith("plugins.module_utils._app.boot /etc/app/release.json")
    assert "Environment=PYTHONPATH=/usr/local/lib/app-release PYTHONDONTWRITEBYTECODE=1" in lines


def test_the_program_of_the_boot_gets_what_the_role_knows(render: Render, tmp_path: Path) -> None:
    (tmp_path / "files").write_text("content: {{ __app_runtime_release_files[0].content }}")
    text = render(
        "app_runtime", str(tmp_path / "files"), app_runtime_name="shop", app_runtime_kind="java", app_runtime_release_wait_seconds=30,
        app_runtime_release_parameter="/fleet/shop/release",
    )  # fmt: skip
    found = json.loads(text.removeprefix("content: "))
    assert int(found.pop("wait_seconds")) == 30
    assert found == {
        "name": "shop", "root": "/opt/shop", "lock": "/run/shop-deployment.lock", "decided": "/run/shop-release",
        "learned": "/var/lib/shop-release.json", "parameter": "/fleet/shop/release", "artifact_region": "", "kind": "java",
        "unreachable": "serve",
    }  # fmt: skip


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
