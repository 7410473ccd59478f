"""A deployment on a host: what is there before is removed only when the new release is proven, and an undo restores all of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import deployment, units
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_store import Store
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.value_store import ValueStore
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.file_set import FileSet

from tests.support.deployed_host import PORTS, FailedError, Host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_broken_release_without_the_values_of_the_one_before_leaves_them_all(host: Host) -> None:
    host.deploy("1.0.0", values=True)
    before, running, active = host.there(), dict(host.running), set(host.active)
    with pytest.raises(FailedError, match=r"Release 1.0.0 was restored and is ready on ports 3000, 3001\."):
        host.deploy("2.0.0", "broken")
    assert host.there() == before
    assert (host.running, host.active) == (running, active)


def test_values_that_are_no_longer_desired_go_once_the_release_is_ready(host: Host) -> None:
    host.deploy("1.0.0", values=True)
    host.deploy("2.0.0")
    assert set(host.there()) == {str(host.folder / "log"), str(host.units / "shop@.service")}
    assert "shop-configuration.timer" not in host.enabled | host.active
    assert host.commands[-1] == "daemon-reload"
    assert not host.deploy("2.0.0").planned


def test_a_broken_release_that_brings_values_leaves_none(host: Host) -> None:
    host.deploy("1.0.0")
    before = host.there()
    with pytest.raises(FailedError, match=r"Release 1\.0\.0 was restored and is ready"):
        host.deploy("2.0.0", "broken", values=True)
    assert host.there() == before


def test_values_that_cannot_be_fetched_leave_all_as_it_was(host: Host) -> None:
    host.deploy("1.0.0")
    (host.folder / "log").chmod(0o700)
    before, running = host.there(), dict(host.running)
    host.change = lambda *_words: None  # type: ignore[method-assign]
    host.refuses = {"restart"}
    with pytest.raises(StoreError, match=r"its values can't be fetched: systemctl restart shop-values.service"):
        host.deploy("2.0.0", values=True)
    assert host.there() == before
    assert host.running == running


def test_a_link_that_cannot_be_switched_leaves_the_files_as_they_were(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.deploy("1.0.0", values=True)
    before = host.there()

    def switch(version: str) -> None:
        if version == "2.0.0":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "switch", lambda _self, version: switch(version))
    with pytest.raises(StoreError, match="No space left on device"):
        host.deploy("2.0.0")
    assert host.there() == before


def test_an_undo_that_fails_in_part_says_so_and_restores_the_rest(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.deploy("1.0.0", values=True)

    def refuse(_files: Any) -> list[str]:
        return ["Cannot write /etc/logrotate.d/shop: Operation not permitted"]

    fail = FileSet.restore
    monkeypatch.setattr(FileSet, "restore", lambda files: fail(files) if files.directories else refuse(files))
    with pytest.raises(
        FailedError,
        match=r"1.0.0 was restored and is ready.*Cannot write /etc/logrotate.d/shop: Operation",
    ):
        host.deploy("2.0.0", "broken")
    assert (host.folder / "opt/current/server").read_text() == "good"
    assert "needs values" in host.running[3000]


def test_what_cannot_be_done_after_the_release_is_ready_is_named_and_the_rest_is_done(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.deploy("1.0.0", values=True, ports=[3000, 3001, 3002])
    unlink = os.unlink

    def refuse(path: str, **options: Any) -> None:
        if path.endswith("configuration.json"):
            raise PermissionError(1, "Operation not permitted", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    host.deploy("2.0.0")
    _pruned, _unused, errors = host.settled
    assert errors == [f"{host.folder}/etc/configuration.json can't be removed: Operation not permitted"]
    assert not host.values.exists()
    assert sorted(host.running) == PORTS


def test_releases_that_failed_do_not_use_up_the_number_kept(host: Host) -> None:
    for version in ("1", "8"):
        host.deploy(version)
    for version in ("2", "3"):
        with pytest.raises(FailedError):
            host.deploy(version, "broken")
        assert version in host.releases(), "a person may want to look at it"
    host.deploy("9")
    assert host.releases() == ["1", "8", "9"]
    assert host.settled == (["2", "3"], [], [])
    assert not host.deploy("9").planned
    host.deploy("10")
    assert host.releases() == ["10", "8", "9"]


def test_a_release_that_failed_once_counts_when_it_was_deployed(host: Host) -> None:
    host.deploy("1")
    ready, units.wait_ready = units.wait_ready, lambda *_words: "the database is away"
    with pytest.raises(FailedError):
        host.deploy("2")
    units.wait_ready = ready
    for version in ("2", "3", "4"):
        host.deploy(version)
    assert host.releases() == ["2", "3", "4"]


def test_a_runtime_that_does_not_run_here_leaves_all_as_it_was(host: Host) -> None:
    host.deploy("1.0.0", runtime="v20")
    before, running, commands = host.there(), dict(host.running), len(host.commands)
    with pytest.raises(
        StoreError, match=r"old.tar doesn't run on this host: bin/node --version .*GLIBC_2.28 not found"
    ):
        host.deploy("2.0.0", runtime="old")
    assert (host.there(), host.running, host.releases()) == (before, running, ["1.0.0"])
    assert not [words for words in host.commands[commands:] if words.split()[0] in ("stop", "start", "restart")]
    assert host.runtimes() == {"v20"}


def test_another_runtime_restarts_the_same_release(host: Host) -> None:
    host.deploy("1.0.0", runtime="v20")
    assert not host.deploy("1.0.0", runtime="v20").planned
    deployed = host.deploy("1.0.0", runtime="v22")
    assert (deployed.restart, deployed.fetch, deployed.fetch_runtime) == (PORTS, False, True)
    assert set(host.running.values()) == {"on v22"}


def test_a_release_that_is_not_ready_on_a_new_runtime_goes_back_to_the_old_one(host: Host) -> None:
    host.deploy("1.0.0", runtime="v20")
    with pytest.raises(FailedError, match=r"Release 1\.0\.0 was restored and is ready"):
        host.deploy("2.0.0", "broken", runtime="v22")
    ready, units.wait_ready = units.wait_ready, lambda port, *_words: "away" if "v22" in host.running[port] else None
    with pytest.raises(FailedError, match=r"Release 1\.0\.0 was restored and is ready"):
        host.deploy("1.0.0", runtime="v22")
    units.wait_ready = ready
    assert set(host.running.values()) == {"on v20"}
    assert "v20" in host.runtimes()
    host.deploy("1.0.0", runtime="v20")
    assert host.runtimes() == {"v20"}, "what failed goes when a deployment succeeds"


def test_a_runtime_stays_as_long_as_a_release_that_is_kept_ran_on_it(host: Host) -> None:
    for version, runtime in (("1", "v18"), ("2", "v20"), ("3", "v20"), ("4", "v22")):
        host.deploy(version, runtime=runtime)
    assert host.releases() == ["2", "3", "4"]
    assert host.runtimes() == {"v20", "v22"}
    host.deploy("5", runtime="v22")
    host.deploy("6", runtime="v22")
    assert host.runtimes() == {"v22"}


def test_the_runtime_before_stays_for_the_way_back(host: Host) -> None:
    host.deploy("1", runtime="v20")
    host.deploy("1", runtime="v22")
    assert host.runtimes() == {"v20", "v22"}
    assert not host.deploy("1", runtime="v20").fetch_runtime
    host.deploy("1", runtime="v24")
    assert host.runtimes() == {"v20", "v24"}


def test_the_systems_own_runtime_again_removes_those_that_were_brought(host: Host) -> None:
    host.deploy("1", runtime="v20")
    host.deploy("2")
    assert host.runtimes() == {"v20"}, "release 1 is kept"
    for version in ("3", "4"):
        host.deploy(version)
    assert host.runtimes() == set()
    assert len(host.settled[1]) == 1


def test_a_host_whose_record_knows_no_runtimes_gets_one(host: Host) -> None:
    host.deploy("1")
    record = host.folder / "opt/.deployed.json"
    known = json.loads(record.read_text())
    record.write_text(json.dumps({name: known[name] for name in ("version", "fingerprint", "previous", "deployed")}))
    assert not host.deploy("1").planned
    host.deploy("1", runtime="v20")
    assert host.runtimes() == {"v20"}


def test_check_mode_says_that_a_runtime_would_be_fetched_and_fetches_none(host: Host) -> None:
    host.deploy("1")
    host.params["runtime"] = host.runtime("v20")
    planned = deployment.Deployment(host)
    assert planned.planned
    assert f"fetch the runtime file://{host.folder}/v20.tar\n" in planned.diff()[-1]["after"]
    assert host.runtimes() == set()


def test_an_instance_that_cannot_be_asked_brings_the_release_before_back(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.deploy("1.0.0", values=True)
    before, running = host.there(), dict(host.running)

    def ready(port: int, health: str, version_path: str, version: str, seconds: int) -> str | None:
        if version == "2.0.0":
            raise OSError(5, "Input/output error")
        return host.ready(port, health, version_path, version, seconds)

    monkeypatch.setattr(units, "wait_ready", ready)
    with pytest.raises(FailedError, match=r"Input/output error\. Release 1\.0\.0 was restored and is ready"):
        host.deploy("2.0.0", values=True)
    assert (host.there(), host.running) == (before, running)


@pytest.mark.parametrize(
    "step", [(ValueStore, "confirm"), (ValueStore, "prune"), (Store, "deployed"), (Store, "superfluous")]
)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StoreError("No space left on device")])
def test_a_step_that_fails_after_all_are_ready_is_named_and_the_others_are_taken(
    host: Host, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str], error: Exception
) -> None:
    """The new release runs: nobody may say that it was not deployed."""
    host.deploy("1.0.0", values=True, ports=[3000, 3001, 3002])

    def fails(*_words: object) -> None:
        raise error

    monkeypatch.setattr(*step, fails)
    host.deploy("2.0.0", values=True)
    assert len(host.settled[2]) == 1 and "No space left on device" in host.settled[2][0]
    assert sorted(host.running) == PORTS
    assert (host.folder / "opt/current").readlink().name == "2.0.0"
