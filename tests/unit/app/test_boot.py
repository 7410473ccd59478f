"""The boot of a host: it serves the release that its fleet runs, or nothing; a host that has just served it comes back without AWS."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.lock import held
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._app.values import program

from tests.support.booting_host import DENIED, PARAMETER, Host
from tests.support.pythons import interpreter


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_host_from_an_older_image_serves_the_current_release_from_its_start(host: Host) -> None:
    host.publish("2.0.0")
    assert host.boot() == "2.0.0"
    assert host.said == ["it serves the current release 2.0.0, instead of 1.0.0"]
    assert host.store.record["version"] == "2.0.0"
    assert host.store.record["previous"] == "1.0.0"
    assert host.store.record["fingerprint"] == "fingerprint"
    assert host.store.good() == ["2.0.0", "1.0.0"]
    assert sorted(path.name for path in Path(host.store.root).iterdir()) == [".deployed.json", "current", "releases"]


def test_a_host_that_has_the_current_release_fetches_nothing(host: Host) -> None:
    host.publish("1.0.0")
    assert host.boot() == "1.0.0"
    assert host.said == ["it serves the current release 1.0.0, which this host has"]
    assert len(host.calls("ssm")) == 1
    assert host.calls("s3api") == []


def test_a_release_that_was_taken_back_is_taken_back_at_boot_too(host: Host) -> None:
    host.publish("2.0.0")
    host.boot()
    host.publish("1.0.0")
    host.reboot()
    assert host.boot() == "1.0.0"
    assert len(host.calls("s3api")) == 1


def test_what_the_boot_makes_can_be_read_by_the_application_whatever_the_umask(host: Host) -> None:
    host.publish("2.0.0")
    own = os.umask(0o077)
    try:
        host.boot()
    finally:
        os.umask(own)
    root = Path(host.store.root)
    for path in (host.folder / "decided", root / ".deployed.json", root / "current/server"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE((root / "releases/2.0.0").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sha256": "0" * 64}, f"expected was {'0' * 64}"),
        ({"kind": "java"}, "release 2.0.0 is of kind java, and this host was configured for nodejs"),
        ({"kind": "perl"}, f"the parameter {PARAMETER} has kind 'perl'"),
        ({"runtime": {"url": "s3://a/b", "sha256": "a" * 64}}, "runs on the runtime aaaaaaaaaaaaaaaa, and this host was"),
        ({"runtime": {"url": "s3://a/b"}}, "has a runtime without its sha256"),
        ({"version": "../../etc"}, "has version '../../etc', which a host can't take"),
        ({"version": "2.0.0\n"}, "has version '2.0.0\n'"),
        ({"version": None}, "has version 'None'"),
        ({"url": "https://example.com/x"}, "has url 'https://example.com/x', which a host can't take"),
        ({"version": "1.0.0"}, "version 1.0.0 is installed from an artifact with sha256"),
    ],
)  # fmt: skip
def test_a_release_that_the_host_can_not_have_is_refused_and_nothing_is_served(
    host: Host, change: dict[str, Any], reason: str
) -> None:
    host.publish("2.0.0", **change)
    assert host.boot() is None
    assert reason in host.said[0]
    assert reason in host.said[-1]
    assert host.store.current == "1.0.0"
    assert host.store.record["version"] == "1.0.0"


@pytest.mark.parametrize("value", ["", "null", "[]", "2.0.0", '{"version": '])
def test_a_parameter_that_is_no_release_is_named(host: Host, value: str) -> None:
    host.put(value)
    assert host.boot() is None
    assert f"the parameter {PARAMETER} is not the JSON of a release" in host.said[-1]


@pytest.mark.parametrize(
    ("what", "message", "reason"),
    [
        ("no-answer", DENIED, "needs ssm:GetParameter on it"),
        ("no-answer", "An error occurred (ParameterNotFound)", f"there is no parameter {PARAMETER} in us-east-1"),
        ("no-answer", "Could not connect to the endpoint URL", "can't be read: Could not connect"),
        ("no-object", "An error occurred (AccessDenied)", "may not read the artifact s3://artifacts/2.0.0"),
        ("no-object", "An error occurred (NoSuchKey)", "there is no artifact s3://artifacts/2.0.0"),
    ],
)
def test_what_aws_refuses_is_asked_for_again_until_it_is_there(
    host: Host, what: str, message: str, reason: str
) -> None:
    host.publish("2.0.0")
    host.fail(what, message)

    def later() -> None:
        if host.now == 20:
            host.fail(what, None)

    host.meanwhile = later
    assert host.boot() == "2.0.0"
    assert [said for said in host.said if said.startswith("not yet: ")] == [host.said[0]]
    assert reason in host.said[0]
    assert host.now == 31, "after 1, 2, 4, 8 and 16 seconds"
    assert len(host.calls("ssm")) == 6


def test_a_host_that_was_just_launched_never_serves_the_release_of_its_image_unasked(host: Host) -> None:
    host.fail("no-answer", "Could not connect to the endpoint URL")
    for _again in range(3):
        assert host.boot() is None
    assert host.now <= 3 * 60
    assert "Could not connect" in host.said[-1]


def served_before(host: Host) -> None:
    host.publish("2.0.0")
    host.boot()
    host.reboot()
    host.fail("no-answer", "Could not connect to the endpoint URL")


def test_a_host_that_served_the_current_release_comes_back_after_a_bounded_wait(host: Host) -> None:
    served_before(host)
    assert host.boot() == "2.0.0"
    assert 30 <= host.now <= 60
    assert host.said[-1].startswith("WARNING: whether release 2.0.0 is still the current one could not be found out")


def test_it_waits_on_where_that_is_desired(host: Host) -> None:
    served_before(host)
    host.desired["unreachable"] = "wait"
    assert host.boot() is None


def test_a_host_that_knows_of_another_release_does_not_serve_its_own(host: Host) -> None:
    """It was told, but could not have it; then it is not even told any more."""
    served_before(host)
    host.fail("no-answer", None)
    host.publish("3.0.0")
    host.fail("no-object", "An error occurred (AccessDenied)")
    assert host.boot() is None
    host.fail("no-answer", "Could not connect to the endpoint URL")
    assert host.boot() is None


def test_a_host_without_a_machine_id_is_one_that_was_just_launched(host: Host) -> None:
    served_before(host)
    host.machine("")
    assert host.boot() is None


def test_a_deployment_has_the_last_word(host: Host) -> None:
    """It holds the lock and decides while the boot asks; the boot then ends, so that what waits for it starts."""
    host.publish("2.0.0")

    def deploy() -> None:
        if host.now == 3:
            host.decision().make(("1.0.0", "0" * 64))

    host.meanwhile = deploy
    with held(host.desired["lock"], 0):
        assert host.boot() == "1.0.0"
    assert host.now == 3
    assert "is held by another process" in host.said[0]
    assert host.said[-1] == "it serves release 1.0.0, which a deployment has brought"
    assert host.calls("s3api") == []


def test_a_fetch_that_was_interrupted_leaves_nothing_to_the_next(host: Host) -> None:
    host.publish("2.0.0")
    left = Path(host.store.root) / ".fetching/artifact"
    left.parent.mkdir()
    left.write_text("half")
    (Path(host.store.releases) / "2.0.0").mkdir()
    assert host.boot() == "2.0.0"
    assert not left.parent.exists()


def test_the_artifact_is_asked_for_where_the_bucket_is(host: Host) -> None:
    host.desired["artifact_region"] = "eu-west-1"
    host.publish("2.0.0")
    host.boot()
    assert "--region us-east-1" in host.calls("ssm")[0]
    assert "--region eu-west-1" in host.calls("s3api")[0]


def test_a_python_release_gets_its_virtual_environment_before_it_is_served(host: Host) -> None:
    host.desired["kind"] = "python"
    host.publish("2.0.0", {"server": "2.0.0", "requirements.lock": "x==1"}, kind="python")
    assert host.boot() == "2.0.0"
    folder = f"{host.store.releases}/2.0.0"
    assert host.commands[0][2:] == ["/usr/bin/python3", "-m", "venv", f"{folder}/.venv"]
    assert host.commands[1][-1] == f"{folder}/requirements.lock"


def test_packages_that_can_not_be_installed_are_named_and_nothing_is_served(host: Host) -> None:
    host.desired["kind"] = "python"
    host.publish("2.0.0", {"server": "2.0.0", "requirements.lock": "x==1"}, kind="python")
    host.run = lambda _argv, **_options: (1, "", "no matching distribution")  # type: ignore[method-assign]
    assert host.boot() is None
    assert "no matching distribution" in host.said[-1]
    assert host.store.current == "1.0.0"


def test_a_release_on_the_runtime_of_the_host_is_served_and_recorded_with_it(host: Host) -> None:
    host.store.deployed("1.0.0", "fingerprint", None, "a" * 16)
    host.publish("2.0.0", runtime={"url": "s3://a/b", "sha256": "a" * 64})
    assert host.boot() == "2.0.0"
    assert host.store.record["runtimes"]["2.0.0"] == "a" * 16
    host.publish("3.0.0")
    host.reboot()
    assert host.boot() is None
    assert (
        "runs on the system's own runtime, and this host was configured for the runtime aaaaaaaaaaaaaaaa"
        in host.said[-1]
    )


def test_a_release_that_the_inventory_gave_another_runtime_than_its_parameter_has_comes_back_at_each_boot(
    host: Host,
) -> None:
    """`app_runtime_runtime` of an inventory; the parameter knows nothing of it."""
    host.publish("1.0.0")
    host.store.deployed("1.0.0", "fingerprint", None, "b" * 16)
    assert host.boot() == "1.0.0"
    assert host.said == ["it serves the current release 1.0.0, which this host has"]
    assert host.store.record["runtimes"]["1.0.0"] == "b" * 16
    host.publish("1.0.0", runtime={"url": "s3://a/b", "sha256": "a" * 64})
    host.reboot()
    assert host.boot() == "1.0.0"


@pytest.mark.parametrize("python", [sys.executable, "3.7"])
def test_the_program_runs_from_its_files_alone(host: Host, python: str) -> None:
    """As on the host (Amazon Linux 2 has Python 3.7): no Ansible, nothing of the collection but these files."""
    found = Path(python) if python == sys.executable else interpreter(python)
    if found is None:
        pytest.skip(f"there is no Python {python}")
    for file in program(str(host.folder / "lib"), "release"):
        Path(file["path"]).parent.mkdir(parents=True, exist_ok=True)
        Path(file["path"]).write_text(file["content"])
    path = host.folder / "release.json"

    def run(seconds: str) -> subprocess.CompletedProcess[str]:
        path.write_text(json.dumps(host.desired | {"wait_seconds": seconds}))
        return subprocess.run(
            [str(found), "-S", "-m", "ansible_collections.ecommerce.fleet.plugins.module_utils._app.boot", str(path)],
            env={"PYTHONPATH": f"{host.folder}/lib", "PATH": f"{host.folder}/bin:/usr/bin:/bin", "AWS_REGION": "us-east-1"},
            cwd=host.folder, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    host.publish("2.0.0")
    host.fail("no-answer", DENIED)
    refused = run("0")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "shop: its current release is not here, so nothing is served: the instance's role may not read"
    )
    host.fail("no-answer", None)
    done = run("10")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "shop: it serves the current release 2.0.0, instead of 1.0.0\n"
    assert host.store.current == "2.0.0"
