"""Deployments of a host that asks for its release at boot: who decides what is served, and that both leave the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import boot, deployment, units
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.decision import Decision

from tests.support.deployed_host import PORTS, FailedError, Host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.fixture
def booting_host(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose instances wait for the release of the boot."""
    host.boot = {
        "decided": str(host.folder / "decided"),
        "learned": str(host.folder / "learned.json"),
        "unit": "shop-release.service",
    }
    (host.folder / "machine-id").write_text("1" * 32)
    monkeypatch.setattr(
        deployment, "Decision", lambda path, learned: Decision(path, learned, str(host.folder / "machine-id"))
    )
    return host


def decision(host: Host) -> Decision:
    assert host.boot is not None
    return Decision(host.boot["decided"], host.boot["learned"], str(host.folder / "machine-id"))


def checksum(host: Host, version: str) -> str:
    return hashlib.sha256((host.folder / f"{version}.tar.gz").read_bytes()).hexdigest()


def test_a_deployment_decides_what_the_boot_serves_before_an_instance_starts(booting_host: Host) -> None:
    booting_host.deploy("1.0.0")
    assert decision(booting_host).made
    assert decision(booting_host).last_learned == ("1.0.0", checksum(booting_host, "1.0.0"))
    assert booting_host.commands.count("reset-failed shop-release.service") == 1, "the boot may have failed before"
    assert not booting_host.deploy("1.0.0").planned
    assert booting_host.commands.count("reset-failed shop-release.service") == 1


def test_a_release_that_goes_back_is_what_the_host_last_knew(booting_host: Host) -> None:
    booting_host.deploy("1.0.0")
    with pytest.raises(FailedError, match=r"Release 1\.0\.0 was restored and is ready"):
        booting_host.deploy("2.0.0", "broken")
    assert decision(booting_host).made
    assert decision(booting_host).last_learned == ("1.0.0", checksum(booting_host, "1.0.0"))


def test_a_boot_that_had_no_release_yet_goes_on_looking_after_a_deployment_that_failed(booting_host: Host) -> None:
    """Else it would serve what the image has, which may be older than what the fleet runs."""
    booting_host.deploy("1.0.0")
    Path(decision(booting_host).path).unlink()
    booting_host.running.clear()
    started: list[bool] = []

    def change(verb: str, _name: str) -> None:
        started.append(verb == "start" and decision(booting_host).made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(booting_host, "change", change)
        patch.setattr(units, "wait_ready", lambda *_words: "no answer")
        with pytest.raises(FailedError):
            booting_host.deploy("2.0.0", "broken")
    assert True in started
    assert not decision(booting_host).made


def test_a_deployment_finds_nothing_to_do_after_the_boot_has_brought_its_release(
    booting_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    booting_host.deploy("1.0.0")
    booting_host.deploy("2.0.0")
    artifact = (booting_host.folder / "2.0.0.tar.gz").read_bytes()
    booting_host.deploy("1.0.0")
    Path(decision(booting_host).path).unlink()

    def aws(_region: str) -> Any:
        value = {
            "version": "2.0.0",
            "kind": "nodejs",
            "url": "s3://a-b/2",
            "sha256": hashlib.sha256(artifact).hexdigest(),
        }
        answer = {"Parameter": {"Value": json.dumps(value)}}
        return SimpleNamespace(call=lambda *_words, **_options: answer)

    monkeypatch.setattr(boot, "Decision", lambda *_paths: decision(booting_host))
    desired = {
        "name": "shop", "root": booting_host.params["root"], "lock": str(booting_host.folder / "lock"), "parameter": "/x", "kind": "nodejs",
        "artifact_region": "", "wait_seconds": 10, "unreachable": "serve", **(booting_host.boot or {}),
    }  # fmt: skip
    boot.Boot(desired, aws, booting_host.run_command, print).decide()
    assert booting_host.releases() == ["1.0.0", "2.0.0"]
    assert not booting_host.deploy("2.0.0").planned
    assert booting_host.deploy("1.0.0").restart == PORTS
