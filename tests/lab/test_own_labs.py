"""Tests have labs of their own names: a user's lab, whatever systems it has, is neither used nor ended."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import processes
from lab.daemon import lifecycle, status_file
from lab.settings import OPERATING_SYSTEMS, Settings
from tests.support.labs import LOCKS, environment, own_name
from tests.support.running_lab import ROOT, running

pytestmark = pytest.mark.lab


@pytest.fixture
def users_lab() -> Iterator[Settings]:
    """A lab of the default name with one system: one that is up already, else one that is started here and ended again."""
    settings = Settings.load({"LAB_OS": "al2"})
    with (LOCKS / "ecommerce-fleet-test-default-lab").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may do the same
        started = status_file.read(settings) is None
        if started:
            lifecycle.up(settings, print)
        try:
            yield settings
        finally:
            if started:
                lifecycle.down(settings, print)


def test_a_suite_has_another_lab_than_the_user_and_leaves_the_users_as_it_is(
    users_lab: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = status_file.read(users_lab)
    assert before is not None
    monkeypatch.setenv("LAB_NAME", users_lab.name)
    monkeypatch.setenv("LAB_STATE", str(users_lab.state))
    monkeypatch.setenv("LAB_OS", "al2")
    with running(Settings.load(environment(own_name("own"), LAB_OS="al2023"))) as lab:
        assert lab.settings.name != users_lab.name
        assert lab.settings.state != users_lab.state
        images = lab.client("ec2").describe_images(Owners=["amazon"])["Images"]
        assert [image["Name"].split("-")[0] for image in images] == ["al2023"]
        assert lab.command("status").returncode == 0
    assert status_file.read(lab.settings) is None
    assert status_file.read(users_lab) == before


def test_a_suites_settings_are_none_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_NAME", "mine")
    monkeypatch.setenv("LAB_STATE", "/var/lib/mine")
    monkeypatch.setenv("LAB_OS", "al2")
    monkeypatch.setenv("LAB_BASE", "imported")
    settings = Settings.load(environment("suite0"))
    assert settings.name == "suite0"
    assert str(settings.state) == "/var/lib/ecommerce-fleet/suite0"
    assert settings.oses == OPERATING_SYSTEMS
    assert settings.bases == ()


def test_no_two_suites_have_the_same_name_in_one_run_nor_in_two() -> None:
    mine = {own_name("twice"), own_name("twice")}
    program = "from tests.support.labs import own_name; print(own_name('twice'))"
    other = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len({*mine, other.stdout.strip()}) == 3


def test_what_a_killed_run_has_left_is_removed_wherever_its_files_were(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, subprocess; from lab.network.lab_network import LabNetwork; from lab.settings import Settings\n"
        "from tests.support.labs import own_name; state = pathlib.Path(os.environ['STATE'])\n"
        "settings = Settings(own_name('kill', state), state, state); LabNetwork(settings).create()\n"
        "null = subprocess.DEVNULL; command = ['ip', 'netns', 'exec', settings.netns, 'sleep', '600']\n"
        "sleep = subprocess.Popen(command, stdout=null, stderr=null)\n"
        "print(settings.name, sleep.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "STATE": str(tmp_path / "state")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    name, pid = run.stdout.split()
    assert run.returncode == -9 and processes.alive(int(pid))
    (tmp_path / "state").rename(tmp_path / "moved")
    assert own_name("kill", tmp_path / "other") == name
    assert not processes.alive(int(pid))
    assert not Settings.load(environment(name)).netns_path.exists()


def test_a_namespace_that_no_run_of_the_tests_has_made_is_left_alone() -> None:
    foreign = Settings.load(environment("alien0"))
    subprocess.run(["ip", "netns", "add", foreign.netns], check=True, timeout=10)
    try:
        assert own_name("alien") == "alien1"
        assert foreign.netns_path.exists()
    finally:
        subprocess.run(["ip", "netns", "delete", foreign.netns], check=True, timeout=10)
