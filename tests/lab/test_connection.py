"""The fleet's own connection on the lab: AWS's session-manager-plugin, a pushed key, published host keys; and its faults."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cloud import account
from lab.settings import OperatingSystem
from tests.support.ec2 import describe, launch, ssh, status
from tests.support.running_lab import ROOT, RunningLab
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab

PLUGIN = ROOT / "build/bin/session-manager-plugin"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqS5zOKBAVsiRq6/h3hkp63GGsjITDP8kd3gY08LeIQ"


class Host:
    """A bare machine, and an inventory of it alone."""

    def __init__(self, lab: RunningLab, ec2: Any, ssm: Any, folder: Path, os_name: OperatingSystem = "al2023") -> None:
        self.lab, self.ec2, self.ssm, self.folder = lab, ec2, ssm, folder
        self.id = launch(
            ec2, ImageId=account.base_image_id("us-east-1", os_name), IamInstanceProfile={"Name": "fleet-web"}
        )
        wait_for(f"{self.id} that answers", lambda: status(ec2, self.id) == "ok", timeout=90, every=0.5)
        wait_for("its agent", self.online, every=0.5)
        self.parameter = f"/fleet/host-keys/{self.id}"
        self.keys = ssh(lab, ec2, self.id, "cat /etc/ssh/ssh_host_*_key.pub")
        self.publish(self.keys)
        self.inventory = folder / "hosts.yml"
        self.write()

    def online(self) -> bool:
        filters = [{"Key": "InstanceIds", "Values": [self.id]}]
        return bool(self.ssm.describe_instance_information(Filters=filters)["InstanceInformationList"])

    def publish(self, keys: str) -> None:
        self.ssm.put_parameter(Name=self.parameter, Value=keys, Type="String", Overwrite=True)

    def write(self, **variables: str) -> None:
        given = {
            "ansible_connection": "ecommerce.fleet.session_manager_ssh",
            "ansible_session_manager_region": "us-east-1",
            "ansible_host": describe(self.ec2, self.id)["PrivateIpAddress"],
            "ansible_user": "ec2-user",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_retries": "1",
        }
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": {self.id: {**given, **variables}}}}))

    def run(self, module: str, arguments: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """An ansible command with connections of its own."""
        # A short path, as sockets need it.
        with tempfile.TemporaryDirectory(dir="/run") as sockets:
            command = ["ansible", "-i", str(self.inventory), "all", "-b", "-m", module, "-a", arguments]
            return self.lab.command("run", *command, "-e", f"ansible_control_path_dir={sockets}", timeout=timeout)

    def sessions(self, which: str = "Active") -> list[str]:
        found = self.ssm.describe_sessions(State=which, Filters=[{"key": "Target", "value": self.id}])["Sessions"]
        return [str(session["SessionId"]) for session in found]


@pytest.fixture(scope="module")
def made(lab: RunningLab, ec2: Any, ssm: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if not PLUGIN.exists():
        pytest.skip("session-manager-plugin is not set up: scripts/session-manager-plugin")
    host = Host(lab, ec2, ssm, tmp_path_factory.mktemp("connection"))
    yield host
    ec2.terminate_instances(InstanceIds=[host.id])


@pytest.fixture
def host(made: Host) -> Host:
    made.publish(made.keys)
    made.write()
    return made


def test_a_module_runs_through_one_session_with_a_key_that_no_host_has_stored(host: Host) -> None:
    before = {*host.sessions(), *host.sessions("History")}
    done = host.run("ansible.builtin.command", "id -un")
    assert done.returncode == 0 and "root" in done.stdout, done.stdout + done.stderr
    assert len({*host.sessions(), *host.sessions("History")} - before) == 1
    stored = ssh(host.lab, host.ec2, host.id, "sudo cat /home/ec2-user/.ssh/authorized_keys")
    assert " ansible" not in stored


def test_a_file_comes_through_whole(host: Host) -> None:
    sent = host.folder / "sent"
    sent.write_bytes(bytes(range(256)) * 2000)
    done = host.run("ansible.builtin.copy", f"src={sent} dest=/tmp/came mode=0644")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.run("ansible.builtin.fetch", f"src=/tmp/came dest={host.folder}/back flat=true").returncode == 0
    assert (host.folder / "back").read_bytes() == sent.read_bytes()


def test_a_session_that_is_terminated_in_the_middle_of_a_task_is_one_error_and_the_task_is_not_started_again(
    host: Host,
) -> None:
    answers: list[subprocess.CompletedProcess[str]] = []
    command = "echo begun >>/tmp/begun; sleep 30; echo ended >>/tmp/begun"
    task = threading.Thread(target=lambda: answers.append(host.run("ansible.builtin.shell", command)))
    before = set(host.sessions())
    task.start()
    wait_for(
        "the task",
        lambda: "begun" in ssh(host.lab, host.ec2, host.id, "cat /tmp/begun 2>/dev/null || true"),
        timeout=60,
        every=0.5,
    )
    (session,) = set(host.sessions()) - before
    host.ssm.terminate_session(SessionId=session)
    task.join(timeout=60)
    said = " ".join((answers[0].stdout + answers[0].stderr).split())
    assert f"Session {session} to {host.id} in us-east-1 ended while a command ran there" in said
    assert "UNREACHABLE" in said and said.count("ended while a command ran") == 1
    time.sleep(3)
    assert ssh(host.lab, host.ec2, host.id, "cat /tmp/begun").count("begun") == 1


def test_a_host_that_shows_another_key_than_it_has_published_is_refused(host: Host) -> None:
    host.publish(OTHER_KEY)
    done = host.run("ansible.builtin.ping")
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert f"The host key of {host.id} in us-east-1 is none of those that it has published" in said


def test_a_host_that_has_published_nothing_is_refused_and_let_in_by_accept_new(host: Host) -> None:
    host.ssm.delete_parameter(Name=host.parameter)
    assert "has published no host keys" in " ".join(host.run("ansible.builtin.ping").stdout.split())
    known = f"-o UserKnownHostsFile={host.folder}/known_hosts"
    host.write(ansible_session_manager_host_key_checking="accept_new", ansible_ssh_common_args=known)
    assert host.run("ansible.builtin.ping").returncode == 0
    find = ["ssh-keygen", "-F", host.id, "-f", str(host.folder / "known_hosts")]  # names may be hashed
    assert subprocess.run(find, capture_output=True, timeout=20, check=False).returncode == 0


def test_a_wrong_region_is_asked_about(host: Host) -> None:
    host.write(ansible_session_manager_region="us-west-2", ansible_session_manager_host_key_checking="accept_new")
    assert "Is that the region of the host?" in " ".join(host.run("ansible.builtin.ping").stdout.split())


def test_a_stopped_host_is_called_stopped(host: Host) -> None:
    host.ec2.stop_instances(InstanceIds=[host.id])
    wait_for("stopped", lambda: describe(host.ec2, host.id)["State"]["Name"] == "stopped", every=0.5)
    try:
        assert f"{host.id} in us-east-1 is stopped" in " ".join(host.run("ansible.builtin.ping").stdout.split())
    finally:
        host.ec2.start_instances(InstanceIds=[host.id])
        wait_for("running", lambda: status(host.ec2, host.id) == "ok", timeout=90, every=0.5)


def test_amazon_linux_2_is_reached_in_the_same_way(
    made: Host, lab: RunningLab, ec2: Any, ssm: Any, tmp_path: Path
) -> None:
    other = Host(lab, ec2, ssm, tmp_path, "al2")
    try:
        done = other.run("ansible.builtin.raw", "id -un")
        assert done.returncode == 0 and "root" in done.stdout, done.stdout + done.stderr
    finally:
        ec2.terminate_instances(InstanceIds=[other.id])
