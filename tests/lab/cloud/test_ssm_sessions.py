"""Session Manager on real machines: the API, the data channel by hand with faults, and the AWS CLI with the real plugin."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab import environment, login
from lab import settings as names
from lab.cloud import account
from lab.network.forward import Forwarder
from tests.support.ec2 import code_of, state
from tests.support.running_lab import RunningLab
from tests.support.session_client import SessionClient
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab

SSH = "AWS-StartSSHSession"
UNIT = "amazon-ssm-agent"
Near = Callable[[str], str]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def hosts(lab: RunningLab, ec2: Any, ssm: Any) -> Iterator[list[str]]:
    """A machine of each operating system that the lab has, with its agent online."""
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:Tier", "Values": ["app"]}])["Subnets"][0]["SubnetId"]
    ids = [
        ec2.run_instances(
            ImageId=account.base_image_id("us-east-1", os_name), MinCount=1, MaxCount=1, InstanceType="t3.micro",
            KeyName="lab", SubnetId=subnet, IamInstanceProfile={"Name": "fleet-web"},
        )["Instances"][0]["InstanceId"]
        for os_name in lab.settings.oses
    ]  # fmt: skip
    try:
        wait_for("agents that are online", lambda: all(online(ssm, i) for i in ids), timeout=120, every=1)
        yield ids
    finally:
        ec2.terminate_instances(InstanceIds=ids)


@pytest.fixture
def host(hosts: list[str]) -> str:
    return hosts[-1]


@pytest.fixture
def plugin(lab: RunningLab) -> str:
    path = environment.inside(lab.settings, os.environ)["PATH"]
    found = shutil.which(login.PLUGIN, path=path)
    if found is None:
        pytest.skip(f"{login.PLUGIN} is not on the lab's PATH; `make setup` installs it")
    return found


def online(ssm: Any, instance_id: str) -> bool:
    found = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
    return [i["PingStatus"] for i in found["InstanceInformationList"]] == ["Online"]


def status(ssm: Any, session_id: str) -> str:
    for kind in ("Active", "History"):
        found = ssm.describe_sessions(State=kind, Filters=[{"key": "SessionId", "value": session_id}])["Sessions"]
        if found:
            return str(found[0]["Status"])
    return ""


@pytest.fixture(scope="module")
def near(lab: RunningLab) -> Iterator[Callable[[str], str]]:
    """The stream's URL → one on this process's loopback that leads there."""
    with Forwarder(0, lab.settings.netns_path) as forwarder:
        forwarder.target = (names.GATEWAY, names.CHANNEL_PORT)
        threading.Thread(target=forwarder.serve_forever, daemon=True).start()
        yield lambda url: url.replace(f"{names.GATEWAY}:{names.CHANNEL_PORT}", f"127.0.0.1:{forwarder.port}")
        forwarder.shutdown()


def play(near: Near, made: dict[str, Any], act: Callable[[SessionClient], Any], token: str = "") -> SessionClient:
    """A client of a session that was started: it connects, does something and leaves."""
    client = SessionClient(near(made["StreamUrl"]))

    async def run() -> None:
        await client.open(token or made["TokenValue"])
        try:
            async with asyncio.timeout(90):
                await act(client)
        finally:
            await client.close()

    asyncio.run(run())
    return client


async def banner(client: SessionClient) -> None:
    await client.wait_for(lambda: client.output.startswith(b"SSH-2.0-"))


def test_a_session_is_started_described_and_terminated(near: Near, ssm: Any, host: str) -> None:
    made = ssm.start_session(Target=host, DocumentName=SSH, Reason="a look", Parameters={"portNumber": ["22"]})
    session_id = made["SessionId"]
    assert re.fullmatch(r"lab-[0-9a-f]{17}", session_id)
    assert made["StreamUrl"] == f"ws://10.0.0.1:4567/v1/data-channel/{session_id}?role=publish_subscribe"
    (shown,) = ssm.describe_sessions(State="Active", Filters=[{"key": "SessionId", "value": session_id}])["Sessions"]
    assert (shown["Target"], shown["Status"], shown["Reason"]) == (host, "Connecting", "a look")
    assert shown["DocumentName"] == SSH
    assert shown["Owner"] == "arn:aws:iam::000000000000:user/lab"

    async def act(client: SessionClient) -> None:
        await banner(client)
        assert status(ssm, session_id) == "Connected"
        await asyncio.to_thread(ssm.terminate_session, SessionId=session_id)
        await client.ended.wait()

    client = play(near, made, act)
    assert client.closed_with == ""
    assert client.properties == {"portNumber": "22"}
    assert client.agent_version.startswith("3.")
    assert status(ssm, session_id) == "Terminated"
    assert ssm.terminate_session(SessionId=session_id)["SessionId"] == session_id
    answer = ssm.resume_session(SessionId=session_id)
    assert "TokenValue" not in answer


def test_described_sessions_come_in_pages(ssm: Any, host: str) -> None:
    made = [ssm.start_session(Target=host)["SessionId"] for _ in range(3)]
    pages = ssm.get_paginator("describe_sessions").paginate(
        State="Active", Filters=[{"key": "Target", "value": host}], PaginationConfig={"PageSize": 2}
    )
    found = [[s["SessionId"] for s in page["Sessions"]] for page in pages]
    assert len(found) >= 2
    assert set(made) <= {name for page in found for name in page}
    for name in made:
        ssm.terminate_session(SessionId=name)
    assert code_of(ssm.describe_sessions, State="Active", NextToken="what") == "InvalidNextToken"


def test_what_a_session_cannot_be_is_refused(ssm: Any, host: str) -> None:
    assert code_of(ssm.start_session, Target="i-0123456789abcdef0") == "TargetNotConnected"
    assert code_of(ssm.start_session, Target=host, DocumentName="No-SuchDocument") == "InvalidDocument"
    assert code_of(ssm.start_session, Target=host, DocumentName="AWS-RunShellScript") == "InvalidDocument"
    wrong = {"DocumentName": SSH, "Parameters": {"portNumber": ["99999"]}}
    assert code_of(ssm.start_session, Target=host, **wrong) == "InvalidParameters"
    for call in (ssm.resume_session, ssm.terminate_session):
        assert code_of(call, SessionId="lab-00000000000000000") == "DoesNotExistException"


def test_a_command_document_and_a_session_document_are_not_mistaken_for_each_other(ssm: Any, host: str) -> None:
    with pytest.raises(ClientError, match="of type Session, not Command"):
        ssm.send_command(InstanceIds=[host], DocumentName=SSH)


def test_a_wrong_token_opens_nothing(near: Near, ssm: Any, host: str) -> None:
    made = ssm.start_session(Target=host, DocumentName=SSH)
    client = play(near, made, lambda c: c.ended.wait(), token="wrong")
    assert client.close_code == 1008
    assert client.received == []
    assert status(ssm, made["SessionId"]) == "Connecting"
    ssm.terminate_session(SessionId=made["SessionId"])


def test_a_dropped_connection_goes_on_with_a_new_token(near: Near, ssm: Any, host: str) -> None:
    made = ssm.start_session(Target=host)
    session_id = made["SessionId"]
    client = SessionClient(near(made["StreamUrl"]))
    lines = 30_000

    async def run() -> None:
        await client.open(made["TokenValue"])
        await client.ready.wait()
        await client.send(
            f"stty -onlcr -echo; i=0; while [ $i -lt {lines} ]; do echo line-$i; i=$((i+1)); done; exit\r".encode()
        )
        await client.wait_for(lambda: client.output.count(b"\nline-") > 100)
        await client.close(abruptly=True)
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(status, ssm, session_id) == "Disconnected"
        await client.open((await asyncio.to_thread(ssm.resume_session, SessionId=session_id))["TokenValue"])
        await asyncio.wait_for(client.ended.wait(), 60)
        await client.close()

    asyncio.run(run())
    found = re.findall(rb"line-(\d+)$", bytes(client.output), re.MULTILINE)
    assert [int(n) for n in found] == list(range(lines))
    assert status(ssm, session_id) == "Terminated"


def test_sshd_sees_the_machines_own_loopback(lab: RunningLab, near: Near, ssm: Any, host: str) -> None:
    made = ssm.start_session(Target=host, DocumentName=SSH)

    async def act(client: SessionClient) -> None:
        await banner(client)
        peer = ["ss", "-tnH", "state", "established", "sport", "=", ":22"]
        done = await asyncio.to_thread(lab.command, "ssh", "--direct", host, " ".join(["sudo", *peer]))
        assert "127.0.0.1:22" in done.stdout, done

    play(near, made, act)


def test_a_port_on_which_nothing_listens_ends_the_session(near: Near, ssm: Any, host: str) -> None:
    made = ssm.start_session(Target=host, DocumentName=SSH, Parameters={"portNumber": ["9"]})
    client = play(near, made, lambda c: c.ended.wait())
    assert client.closed_with == "Unable to connect to specified port: Connection refused"
    assert status(ssm, made["SessionId"]) == "Failed"


def test_a_shell_runs_as_ssm_user_with_a_terminal_and_may_use_sudo(near: Near, ssm: Any, hosts: list[str]) -> None:
    for host in hosts:
        made = ssm.start_session(Target=host, DocumentName="SSM-SessionManagerRunShell")

        async def act(client: SessionClient) -> None:
            await client.ready.wait()
            await client.send(b"echo $(id -un) $HOME $TERM $(sudo id -un) $(tty); pwd; exit\r")
            await client.ended.wait()

        client = play(near, made, act)
        assert re.search(rb"ssm-user /home/ssm-user xterm-256color root /dev/pts/\d+\r\n/usr/bin\r\n", client.output), (
            client.output
        )


def test_while_the_agent_is_stopped_no_session_starts_and_a_running_one_goes_on(
    lab: RunningLab, near: Near, ssm: Any, host: str
) -> None:
    made = ssm.start_session(Target=host, DocumentName=SSH)

    def systemctl(action: str) -> None:
        assert lab.command("ssh", "--direct", host, f"sudo systemctl {action} {UNIT}").returncode == 0

    async def act(client: SessionClient) -> None:
        await banner(client)
        await asyncio.to_thread(systemctl, "stop")
        assert await asyncio.to_thread(code_of, ssm.start_session, Target=host) == "TargetNotConnected"
        await client.send(b"SSH-2.0-test\r\n")
        await client.wait_for(lambda: len(client.output) > 200)  # sshd's offer of algorithms

    try:
        play(near, made, act)
    finally:
        systemctl("start")
    wait_for("agent that is online", lambda: _starts(ssm, host), every=0.5)


def _starts(ssm: Any, host: str) -> bool:
    try:
        ssm.terminate_session(SessionId=ssm.start_session(Target=host)["SessionId"])
    except ssm.exceptions.TargetNotConnected:
        return False
    return True


def test_a_session_ends_when_its_machine_stops(near: Near, ssm: Any, ec2: Any, hosts: list[str]) -> None:
    host = hosts[0]
    made = ssm.start_session(Target=host)

    async def act(client: SessionClient) -> None:
        await client.ready.wait()
        await asyncio.to_thread(ec2.stop_instances, InstanceIds=[host])
        await client.ended.wait()

    try:
        play(near, made, act)
        assert status(ssm, made["SessionId"]) == "Terminated"
        wait_for("machine that is stopped", lambda: state(ec2, host) == "stopped")
        assert code_of(ssm.start_session, Target=host) == "TargetNotConnected"
    finally:
        wait_for("machine that is stopped", lambda: state(ec2, host) == "stopped")
        ec2.start_instances(InstanceIds=[host])
        wait_for("agent that is online again", lambda: _starts(ssm, host), timeout=120, every=1)


@pytest.mark.slow
def test_a_documents_idle_timeout_ends_its_session(near: Near, ssm: Any, host: str) -> None:
    name = f"short-{uuid.uuid4().hex[:8]}"
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {"idleSessionTimeout": "1"}}
    ssm.create_document(Name=name, DocumentType="Session", Content=json.dumps(content))
    try:
        made = ssm.start_session(Target=host, DocumentName=name)
        began = time.monotonic()
        client = play(near, made, lambda c: c.ended.wait())
        assert 55 < time.monotonic() - began < 75
        assert client.closed_with == "Your session timed out due to inactivity."
    finally:
        ssm.delete_document(Name=name)


# The AWS CLI and the real session-manager-plugin


def test_ssh_through_the_plugin_passes_input_output_and_exit_code(
    lab: RunningLab, plugin: str, hosts: list[str]
) -> None:
    for host in hosts:
        done = lab.command("ssh", host, "hostname; echo problem >&2; exit 5")
        assert done.returncode == 5, done.stderr
        assert done.stdout.startswith("ip-10-0-")
        assert "problem" in done.stderr


def test_files_of_megabytes_come_through_the_plugin_unharmed(
    lab: RunningLab, plugin: str, host: str, tmp_path: Path
) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    here.write_bytes(os.urandom(3_000_000))
    script = f'"{sys.executable}" -m lab ssh {host} "cat >/tmp/there; cat /tmp/there" <{here} >{back}'
    own = {"LAB_NAME": lab.settings.name, "LAB_STATE": str(lab.settings.state), "LAB_CACHE": str(lab.settings.cache)}
    done = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, **own},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert back.read_bytes() == here.read_bytes()


def test_lab_ssh_is_a_shell_session_on_the_users_terminal(lab: RunningLab, plugin: str, ssm: Any, host: str) -> None:
    own = {"LAB_NAME": lab.settings.name, "LAB_STATE": str(lab.settings.state), "LAB_CACHE": str(lab.settings.cache)}
    parent, child = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-m", "lab", "ssh", host], env={**os.environ, **own}, cwd=ROOT, stdin=child, stdout=child,
        stderr=child, start_new_session=True,
    )  # fmt: skip
    os.close(child)
    seen = b""

    def read_until(text: bytes) -> None:
        nonlocal seen
        deadline = time.monotonic() + 30
        while text not in seen and time.monotonic() < deadline:
            if select.select([parent], [], [], 0.2)[0]:
                seen += os.read(parent, 65536)
        assert text in seen, seen

    try:
        read_until(b"$ ")
        os.write(parent, b"echo I am $(id -un); exit\r")
        read_until(b"I am ssm-user")
        read_until(b"Exiting session with sessionId: lab-")
        assert shell.wait(10) == 0
    finally:
        shell.kill()
        os.close(parent)


def test_without_the_plugin_lab_ssh_says_what_to_do(lab: RunningLab, host: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="not on PATH") as caught:
        login.require_plugin(str(tmp_path))
    assert "lab ssh --direct HOST" in getattr(caught.value, "hint", "")


def test_channels_are_reached_where_the_api_says(lab: RunningLab) -> None:
    code, _, _ = lab.http(names.GATEWAY, "/v1/data-channel/x", port=names.CHANNEL_PORT)
    assert code == 400, "no WebSocket"
