"""The ProxyCommand: what it asks AWS in which order, how it starts the plugin, and what it says when there is no session."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._session_manager import proxy

from tests.support.session_manager import HOST_KEY, INSTANCE, FakeAws, Refused, environment, fake_aws, write_plugin

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqS5zOKBAVsiRq6h3hkp63GGsjITDP8kd3gY08LeIQ0 ansible"
TARGET = proxy.Target(INSTANCE, "ec2-user", 22, "us-east-1")


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with fake_aws() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_plugin(tmp_path)
    (tmp_path / "key.pub").write_text(f"{PUBLIC_KEY}\n")
    return tmp_path


def run(aws: FakeAws, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, proxy.__file__, INSTANCE, "--user", "ec2-user", "--port", "22", "--region", "us-east-1",
        "--public-key", str(folder / "key.pub"), "--known-hosts", str(folder / "known_hosts"), *more,
    ]  # fmt: skip
    return subprocess.run(
        command, env=environment(aws, folder), capture_output=True, text=True, timeout=60, check=False
    )


def error(aws: FakeAws, folder: Path, *more: str) -> str:
    """The one line that it ends with."""
    done = run(aws, folder, *more)
    assert done.returncode == 1
    assert re.fullmatch(r"session_manager_ssh: .+\n", done.stderr)
    return done.stderr.strip()


def passes(aws: FakeAws, folder: Path) -> bool:
    """Whether a new try may succeed."""
    with pytest.raises(proxy.ProxyError) as caught, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(aws, folder).items():
            patch.setenv(name, value)
        proxy.connect(TARGET, folder / "key.pub", "session-manager-plugin", folder / "known_hosts")
    return caught.value.passes


def test_the_key_is_pushed_last_so_that_its_minute_begins_when_sshd_asks(aws: FakeAws, folder: Path) -> None:
    done = run(aws, folder)
    assert done.returncode == 0, done.stderr
    assert [name for name, _given in aws.calls] == ["GetParameter", "StartSession", "SendSSHPublicKey"]
    assert aws.named("StartSession") == [
        {"Target": INSTANCE, "DocumentName": "AWS-StartSSHSession", "Parameters": {"portNumber": ["22"]}}
    ]
    pushed = {"InstanceId": INSTANCE, "InstanceOSUser": "ec2-user", "SSHPublicKey": PUBLIC_KEY}
    assert aws.named("SendSSHPublicKey") == [pushed]


def test_the_plugin_is_started_as_the_aws_cli_does_with_the_token_in_the_environment(
    aws: FakeAws, folder: Path
) -> None:
    run(aws, folder)
    request = json.dumps(
        {"Target": INSTANCE, "DocumentName": "AWS-StartSSHSession", "Parameters": {"portNumber": ["22"]}}
    )
    arguments = (folder / "plugin.arguments").read_text().splitlines()
    assert arguments == ["AWS_SSM_START_SESSION_RESPONSE", "us-east-1", "StartSession", "", request, aws.url]
    session = {"SessionId": "alice-0001", "TokenValue": "secret-token", "StreamUrl": "wss://example/"}
    assert json.loads((folder / "plugin.response").read_text()) == session


def test_the_published_host_keys_are_what_ssh_compares_with_and_other_hosts_keep_theirs(
    aws: FakeAws, folder: Path
) -> None:
    (folder / "known_hosts").write_text(f"i-other {HOST_KEY}\n{INSTANCE} ssh-ed25519 b2xk\n")
    aws.parameters[f"/fleet/host-keys/{INSTANCE}"] = f"{HOST_KEY} root@host\nnonsense\necdsa-sha2-nistp256 AAAB\n"
    run(aws, folder)
    assert (folder / "known_hosts").read_text().splitlines() == [
        f"i-other {HOST_KEY}", f"{INSTANCE} {HOST_KEY}", f"{INSTANCE} ecdsa-sha2-nistp256 AAAB",
    ]  # fmt: skip


def test_a_host_that_has_published_no_key_is_refused_with_the_remedy(aws: FakeAws, folder: Path) -> None:
    aws.parameters.clear()
    message = error(aws, folder)
    assert f"has published no host keys (parameter /fleet/host-keys/{INSTANCE})" in message
    assert "accept_new" in message
    assert passes(aws, folder), "a host that is starting may publish them in a moment"
    assert aws.named("StartSession") == []


def test_a_parameter_without_a_host_key_is_refused(aws: FakeAws, folder: Path) -> None:
    aws.parameters[f"/fleet/host-keys/{INSTANCE}"] = "soon"
    assert "has no host key: 'soon'" in error(aws, folder)


def test_an_agent_that_is_offline_may_pass_and_is_named(aws: FakeAws, folder: Path) -> None:
    aws.refuse["StartSession"] = Refused("TargetNotConnected")
    assert f"{INSTANCE} in us-east-1 is not connected to Systems Manager (EC2: running)" in error(aws, folder)
    assert passes(aws, folder)


def test_a_stopped_host_is_called_stopped_and_not_tried_again(aws: FakeAws, folder: Path) -> None:
    aws.refuse["StartSession"], aws.state = Refused("TargetNotConnected"), "stopped"
    assert f"{INSTANCE} in us-east-1 is stopped" in error(aws, folder)
    assert not passes(aws, folder)


def test_a_wrong_region_is_asked_about(aws: FakeAws, folder: Path) -> None:
    aws.refuse["StartSession"], aws.state = Refused("TargetNotConnected"), "unknown"
    assert f"There is no instance {INSTANCE} in us-east-1. Is that the region of the host?" in error(aws, folder)


def test_a_denied_document_is_named_with_the_call_that_must_be_allowed(aws: FakeAws, folder: Path) -> None:
    aws.refuse["StartSession"] = Refused(
        "AccessDeniedException", "not authorized on resource: document/AWS-StartSSHSession"
    )
    message = error(aws, folder)
    assert "document AWS-StartSSHSession (ssm:StartSession)" in message
    assert "credentials in use must allow it" in message
    assert not passes(aws, folder)


def test_a_session_whose_key_can_not_be_pushed_is_terminated(aws: FakeAws, folder: Path) -> None:
    aws.refuse["SendSSHPublicKey"] = Refused("AccessDeniedException", "no")
    assert "ec2-instance-connect:SendSSHPublicKey" in error(aws, folder)
    assert aws.named("TerminateSession") == [{"SessionId": "alice-0001"}]


def test_a_missing_plugin_is_named_before_aws_is_asked(aws: FakeAws, folder: Path) -> None:
    assert "There is no session-manager-plugins on PATH" in error(aws, folder, "--plugin", "session-manager-plugins")
    assert aws.calls == []


@pytest.mark.parametrize("version", ["1.2.497.0", "1.2.763.9"])
def test_a_plugin_that_is_too_old_is_named_with_its_version(aws: FakeAws, folder: Path, version: str) -> None:
    write_plugin(folder, version=version)
    assert f"is {version}; 1.2.764.0 or newer is needed" in error(aws, folder)
    assert aws.calls == []


def test_another_program_of_that_name_is_not_taken_for_the_plugin(aws: FakeAws, folder: Path) -> None:
    write_plugin(folder, version="hello")
    assert "no session-manager-plugin of AWS (it says 'hello')" in error(aws, folder)


def test_an_endpoint_that_is_not_reached_may_pass(aws: FakeAws, folder: Path) -> None:
    aws.url = "http://127.0.0.1:9"
    retries = proxy.RETRIES["total_max_attempts"]
    try:
        proxy.RETRIES["total_max_attempts"] = 1
        assert passes(aws, folder)
    finally:
        proxy.RETRIES["total_max_attempts"] = retries


def test_two_hundred_hosts_at_forks_50_all_get_a_session_though_aws_throttles(
    aws: FakeAws, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fifth of AWS's time, for botocore's pauses too. A client for each fork, as each is a process of its own."""
    aws.per_second = 60
    for name, value in environment(aws, folder).items():
        monkeypatch.setenv(name, value)
    sleep = time.sleep
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: sleep(seconds / 5))
    make = proxy.clients(TARGET)
    clients: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _fork in range(50):
        clients.put(make("ssm"))

    def start(number: int) -> str:
        client = clients.get()
        try:
            target = proxy.Target(f"i-{number:017}", "ec2-user", 22, "us-east-1")
            return str(proxy.start_session(client, lambda: None, target)["SessionId"])
        finally:
            clients.put(client)

    with ThreadPoolExecutor(50) as forks:
        sessions = list(forks.map(start, range(200)))
    assert len(set(sessions)) == 200
    assert aws.throttled > 0, "else nothing was proven"
