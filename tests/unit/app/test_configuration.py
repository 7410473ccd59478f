"""Rotation on the host: changed values reach one instance after the other, bad ones are taken back, nothing restarts for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import units
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.configuration import Application
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.sources import ValuesError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.lock import held


class Host:
    """An application on two ports that reads its values when it starts. Not ready with the value `bad`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.value, self.folder = "one", folder
        self.restarts: list[str] = []
        self.reads: dict[int, str] = {}
        wanted: dict[str, Any] = {
            "name": "shop", "root": str(folder), "lock": str(folder / "lock"), "values_directory": str(folder / "values"),
            "values_group": "", "ports": ["3000", 3001], "health_path": "/health", "version_path": "", "ready_seconds": "1",
            "pause_seconds": "0", "parameters_path": "/shop", "secrets": [],
        }  # fmt: skip
        self.application = Application(wanted, self.run, lambda: self)
        monkeypatch.setattr(units, "wait_ready", self.ready)

    region = "us-east-1"

    def call(self, *_words: str) -> dict[str, Any]:
        if self.value == "denied":
            raise ValuesError("the role may not")
        return {"Parameters": [{"Name": "/shop/value", "Value": self.value}]}

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        if "start" in argv:
            port = int(argv[-1].split("@")[1].split(".")[0])
            self.restarts.append(str(port))
            self.reads[port] = (self.folder / "values/current/environment").read_text()
        return 0, "", ""

    def ready(self, port: int, *_rest: Any) -> str | None:
        return "no answer" if "bad" in self.reads[port] else None

    def generations(self) -> int:
        return len(list((self.folder / "values").glob("values-*")))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path, monkeypatch)
    host.application.fetch()
    return host


def test_values_are_used_at_boot_and_then_only_when_they_change(host: Host) -> None:
    assert (host.folder / "values/current/environment").read_text() == 'VALUE="one"\n'
    assert host.application.rotate() == "nothing has changed"
    assert host.restarts == []


def test_a_change_reaches_one_instance_after_the_other(host: Host) -> None:
    host.value = 'tw"o$'
    assert host.application.rotate() == "changed values are used by ports 3000, 3001"
    assert host.restarts == ["3000", "3001"]
    assert host.reads[3001] == 'VALUE="tw\\"o\\$"\n'
    assert host.application.rotate() == "nothing has changed"
    assert host.generations() == 1


def test_values_with_which_the_first_instance_is_not_ready_are_taken_back_and_not_tried_again(host: Host) -> None:
    host.value = "bad"
    with pytest.raises(ValuesError, match=r"taken back, because shop@3000.service is not ready.*used on all ports"):
        host.application.rotate()
    assert host.restarts == ["3000", "3000"]
    assert host.reads[3000] == 'VALUE="one"\n'
    with pytest.raises(ValuesError, match="still those with which"):
        host.application.rotate()
    assert len(host.restarts) == 2
    host.value = "two"
    host.application.rotate()
    assert host.reads == {3000: 'VALUE="two"\n', 3001: 'VALUE="two"\n'}
    assert host.generations() == 1


def test_a_rotation_that_was_interrupted_is_completed_by_the_next(host: Host) -> None:
    host.value = "two"
    host.application.fetch()
    host.application.values.adopt()  # and then the process was killed
    assert host.application.rotate() == "changed values are used by ports 3000, 3001"


def test_a_fetch_that_fails_leaves_everything_as_it_is(host: Host) -> None:
    host.value = "denied"
    with pytest.raises(ValuesError, match="may not"):
        host.application.rotate()
    assert host.restarts == []
    assert (host.folder / "values/current/environment").read_text() == 'VALUE="one"\n'


def test_a_deployment_that_runs_is_not_disturbed(host: Host) -> None:
    host.value = "two"
    with held(str(host.folder / "lock"), 0):
        assert "a deployment is running" in host.application.rotate()
    assert host.restarts == []


def test_values_that_change_before_the_host_has_its_release_wait_for_the_instances(host: Host) -> None:
    """Instances can't get ready then; the values would be taken for bad ones."""
    host.application.desired["decided"] = str(host.folder / "decided")
    host.value = "two"
    assert host.application.rotate() == "no instance has started yet; the release of this boot is looked for"
    assert host.restarts == []
    (host.folder / "decided").touch()
    assert host.application.rotate() == "changed values are used by ports 3000, 3001"


def test_nobody_but_the_owner_reads_values(host: Host) -> None:
    folder = host.folder / "values"
    assert {path.stat().st_mode & 0o077 for path in [folder, *folder.rglob("*")]} == {0}


def test_values_that_can_not_be_taken_back_are_named_all_instances_are_tried_and_the_next_rotation_tries_again(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise OSError(28, "No space left on device")

    host.value = "bad"
    with monkeypatch.context() as broken:
        broken.setattr(host.application.values, "go_back", fails)
        with pytest.raises(ValuesError, match=r"could not be taken back, because shop@3000.*No space left on device"):
            host.application.rotate()
    assert host.restarts == ["3000", "3000"]
    host.value = "two"
    assert host.application.rotate() == "changed values are used by ports 3000, 3001"


def test_an_instance_that_can_not_be_started_again_does_not_keep_the_others_from_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.value = "bad"
    ready = host.application.units.restart
    tried: list[int] = []

    def restart(port: int) -> str | None:
        tried.append(port)
        if len(tried) == 3:
            raise OSError(5, "Input/output error")
        refused: str | None = ready(port)
        return refused

    monkeypatch.setattr(
        units, "wait_ready", lambda port, *_rest: "no answer" if port == 3001 and len(tried) == 2 else None
    )
    monkeypatch.setattr(host.application.units, "restart", restart)
    with pytest.raises(ValuesError, match=r"taken back, because shop@3001.*not ready either: .*Input/output error"):
        host.application.rotate()
    assert tried == [3000, 3001, 3001, 3000]
