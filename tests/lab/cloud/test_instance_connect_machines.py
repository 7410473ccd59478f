"""EC2 Instance Connect on real machines: sshd takes a pushed key for its minute, through the package of the base image."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.run_command import run_script, wait_online
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.checks import Check, check_login, parse_report
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.scripts import with_values

from lab.cloud import account
from lab.settings import OperatingSystem
from tests.support.instance_connect import key_pair
from tests.support.running_lab import RunningLab
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab

SCRIPTS = Path(__file__).resolve().parents[3] / "ssm/scripts"


@pytest.fixture(scope="module")
def hosts(lab: RunningLab, ec2: Any) -> Iterator[dict[OperatingSystem, dict[str, Any]]]:
    """Each operating system's instance, launched without a key."""
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:Tier", "Values": ["app"]}])["Subnets"][0]["SubnetId"]
    ids = {}
    for os_name in lab.settings.oses:
        started = ec2.run_instances(
            ImageId=account.base_image_id("us-east-1", os_name),
            MinCount=1,
            MaxCount=1,
            InstanceType="t3.micro",
            SubnetId=subnet,
            IamInstanceProfile={"Name": "fleet-web"},
        )
        ids[os_name] = started["Instances"][0]["InstanceId"]
    try:
        yield {os_name: up(ec2, instance_id) for os_name, instance_id in ids.items()}
    finally:
        ec2.terminate_instances(InstanceIds=list(ids.values()))


def up(ec2: Any, instance_id: str) -> dict[str, Any]:
    def look() -> bool:
        found = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        return bool(found) and found[0]["InstanceStatus"]["Status"] == "ok"

    wait_for(f"{instance_id} that answers", look, timeout=90, every=0.5)
    found: dict[str, Any] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return found


def login(lab: RunningLab, host: dict[str, Any], key: Path, command: str = "true") -> subprocess.CompletedProcess[str]:
    options = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ConnectTimeout=10",
    ]
    words = [word for option in options for word in ("-o", option)]
    inside = ["nsenter", f"--net={lab.settings.netns_path}"]
    return subprocess.run(
        [*inside, "ssh", "-F", "/dev/null", "-i", str(key), *words, f"ec2-user@{host['PrivateIpAddress']}", command],
        env={**os.environ, "SSH_AUTH_SOCK": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def push(lab: RunningLab, host: dict[str, Any], public: str, user: str = "ec2-user") -> str:
    answer = lab.client("ec2-instance-connect").send_ssh_public_key(
        InstanceId=host["InstanceId"], InstanceOSUser=user, SSHPublicKey=public
    )
    return str(answer["RequestId"])


def test_a_pushed_key_logs_in_within_its_minute_and_not_after_it(
    lab: RunningLab, hosts: dict[OperatingSystem, dict[str, Any]], tmp_path: Path
) -> None:
    (key, public), (other, _) = key_pair(tmp_path), key_pair(tmp_path, "rsa", 2048)
    for host in hosts.values():
        assert "Permission denied" in login(lab, host, key).stderr
    requests = {os_name: push(lab, host, public) for os_name, host in hosts.items()}
    pushed = time.monotonic()
    for os_name, host in hosts.items():
        done = login(lab, host, key, "sudo journalctl --no-pager -o cat SYSLOG_FACILITY=10")
        assert done.returncode == 0, done.stderr
        assert f"request-id: {requests[os_name]}, for IAM principal: arn:aws:iam::" in done.stdout
        assert "Permission denied" in login(lab, host, other).stderr
    # The daemon and the host each have a clock that no test can move.
    time.sleep(max(0.0, 61 - (time.monotonic() - pushed)))
    for host in hosts.values():
        assert "Permission denied" in login(lab, host, key).stderr


def test_the_image_test_logs_in_on_a_host_that_takes_pushed_keys_and_says_why_not_on_another(
    lab: RunningLab, hosts: dict[OperatingSystem, dict[str, Any]], ssm: Any
) -> None:
    """The scripts of the module image_test, by Run Command as there."""
    key, attempt = ((SCRIPTS / f"{name}.sh").read_text() for name in ("image_login_key", "image_login"))
    refuse = "#!/bin/sh\nsed -i 's/^AuthorizedKeysCommand /#&/' /etc/ssh/sshd_config && systemctl reload sshd\n"
    restore = refuse.replace("s/^AuthorizedKeysCommand /#&/", "s/^#AuthorizedKeysCommand /AuthorizedKeysCommand /")
    for host in hosts.values():
        wait_online(ssm, [host["InstanceId"]], 120)

        def on_host(script: str, host: dict[str, Any] = host) -> str:
            return run_script(ssm, host["InstanceId"], "a script", script, 60)

        def check(host: dict[str, Any] = host) -> Check:
            push(lab, host, on_host(key).strip())
            return check_login(parse_report(on_host(with_values(attempt, LOGIN_USER="ec2-user"))))

        assert check() == Check("SSH by EC2 Instance Connect", True, "a pushed key logs in")
        on_host(refuse)
        try:
            failed = check()
        finally:
            on_host(restore)
        assert not failed.ok
        assert "Permission denied" in failed.seen
        assert "AuthorizedKeysCommand: none" in failed.seen


def test_a_key_for_one_user_lets_nobody_else_in(
    lab: RunningLab, hosts: dict[OperatingSystem, dict[str, Any]], tmp_path: Path
) -> None:
    key, public = key_pair(tmp_path)
    for host in hosts.values():
        push(lab, host, public, "root")
        assert "Permission denied" in login(lab, host, key).stderr


def test_sshd_asks_the_package_and_the_account_that_it_asks_as_can_not_log_in(
    lab: RunningLab, hosts: dict[OperatingSystem, dict[str, Any]], tmp_path: Path
) -> None:
    key, public = key_pair(tmp_path)
    for host in hosts.values():
        push(lab, host, public)
        shown = login(
            lab,
            host,
            key,
            "sudo sshd -T; getent passwd ec2-instance-connect; sudo passwd -S ec2-instance-connect",
        )
        assert "authorizedkeyscommand /opt/aws/bin/eic_run_authorized_keys %u %f\n" in shown.stdout
        assert "authorizedkeyscommanduser ec2-instance-connect\n" in shown.stdout
        assert ":/sbin/nologin\n" in shown.stdout
        assert "ec2-instance-connect L " in shown.stdout


def test_removing_the_package_takes_its_lines_out_of_sshds_configuration_and_installing_it_brings_them_back(
    lab: RunningLab, hosts: dict[OperatingSystem, dict[str, Any]], tmp_path: Path
) -> None:
    key, public = key_pair(tmp_path)
    for host in hosts.values():
        push(lab, host, public)
        count = "sudo sshd -T | grep -c eic_run"
        words = [f"sudo dnf -q -y {verb} ec2-instance-connect >&2; {count}" for verb in ("remove", "install")]
        script = "; ".join([*words, "id ec2-instance-connect"])
        done = login(lab, host, key, script)
        assert done.stdout.split("\n")[:2] == ["0", "1"], done
        assert done.returncode == 0
