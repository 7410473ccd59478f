"""The lab's wire, and what is found of a lab that was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import processes
from lab.daemon import leftovers
from lab.errors import LabError
from lab.network import namespaces
from lab.network.hosts_file import HostsFile, address_of
from lab.network.lab_network import LabNetwork
from lab.settings import Settings
from tests.support.labs import own_name


@pytest.fixture
def other(bare: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A lab of a name of its own, of which nothing exists yet."""
    state = tmp_path / "state"
    settings = replace(bare, name=own_name("other", state), state=state)
    yield settings
    subprocess.run(["ip", "netns", "delete", settings.netns], check=False, capture_output=True)


def addresses(settings: Settings) -> dict[str, str]:
    """Address → MAC address of the bridge."""
    shown = subprocess.run(
        ["ip", "-netns", settings.netns, "-json", "address", "show", "dev", "lab0"],
        check=True,
        capture_output=True,
        text=True,
    )
    (bridge,) = json.loads(shown.stdout)
    return {a["local"]: bridge["address"] for a in bridge["addr_info"] if a["family"] == "inet"}


@pytest.mark.lab
def test_the_bridge_has_its_fixed_addresses(bare: Settings) -> None:
    assert addresses(bare) == {"10.0.0.1": "02:00:0a:00:00:01", "169.254.169.254": "02:00:0a:00:00:01"}


@pytest.mark.lab
def test_an_address_can_be_added_twice_and_removed_twice(bare: Settings) -> None:
    wire = LabNetwork(bare)
    wire.add_address("10.0.4.10")
    wire.add_address("10.0.4.10")
    assert "10.0.4.10" in addresses(bare)
    wire.remove_address("10.0.4.10")
    wire.remove_address("10.0.4.10")
    assert "10.0.4.10" not in addresses(bare)


@pytest.mark.lab
def test_nothing_of_the_host_can_be_reached_from_inside(bare: Settings) -> None:
    with pytest.raises(OSError, match="unreachable"):
        namespaces.connect(bare.netns_path, ("192.0.2.1", 80), timeout=2)


@pytest.mark.lab
def test_a_foreign_namespace_of_the_labs_name_is_refused_and_left_alone(other: Settings) -> None:
    subprocess.run(["ip", "netns", "add", other.netns], check=True)
    for action in (LabNetwork(other).create, lambda: leftovers.remove(other)):
        with pytest.raises(LabError, match=other.netns) as caught:
            action()
        assert f"ip netns delete {other.netns}" in caught.value.hint
    assert other.netns_path.exists()


@pytest.mark.lab
def test_a_recreated_namespace_is_foreign_although_the_old_record_is_there(other: Settings) -> None:
    LabNetwork(other).create()
    assert LabNetwork(other).ours
    subprocess.run(["ip", "netns", "delete", other.netns], check=True)
    subprocess.run(["ip", "netns", "add", other.netns], check=True)
    assert not LabNetwork(other).ours


@pytest.mark.lab
def test_leftover_processes_end_with_the_namespace(other: Settings) -> None:
    LabNetwork(other).create()
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(99)"
    child = subprocess.Popen(
        ["nsenter", f"--net={other.netns_path}", sys.executable, "-c", stubborn],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert processes.ours(other) == [child.pid]
    assert leftovers.remove(other) == 1
    assert child.wait(5) == -9
    child.stdout.close()
    assert not other.netns_path.exists()
    assert leftovers.remove(other) == 0


@pytest.mark.lab
def test_a_command_inside_does_not_end_itself_when_it_cleans_up(other: Settings) -> None:
    LabNetwork(other).create()
    code = "from lab import processes; from lab.settings import Settings; print(processes.ours(Settings.load()))"
    done = subprocess.run(
        ["nsenter", f"--net={other.netns_path}", sys.executable, "-c", code],
        env={"LAB_NAME": other.name, "LAB_STATE": str(other.state), "PATH": "/usr/sbin:/usr/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"


def test_names_are_found_in_the_labs_hosts_file(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "hosts")
    hosts.set("load-balancers", {"web-1.elb": "10.0.4.10"})
    hosts.set("instances", {"ip-10-0-16-4.ec2.internal": "10.0.16.4"})
    hosts.set("load-balancers", {"web-2.elb": "10.0.4.11"})
    assert address_of(hosts.path, "web-1.elb") is None
    assert address_of(hosts.path, "web-2.elb") == "10.0.4.11"
    assert address_of(hosts.path, "ip-10-0-16-4.ec2.internal") == "10.0.16.4"
    assert address_of(hosts.path, "localhost") == "127.0.0.1"


def test_the_hosts_file_keeps_its_inode(tmp_path: Path) -> None:
    """It lies bound over /etc/hosts of running commands; a new file would not be seen by them."""
    hosts = HostsFile(tmp_path / "hosts")
    hosts.set("a", {"long-name-number-one.example": "10.0.4.10"})
    inode = hosts.path.stat().st_ino
    hosts.set("a", {})
    assert hosts.path.stat().st_ino == inode
    assert "number-one" not in hosts.path.read_text()
