"""SendSSHPublicKey, asked by a real SDK client, against what the EC2 Instance Connect API Reference documents of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.iam.models import iam_backends
from werkzeug.serving import make_server

from lab.cloud.auth.gate import Gate
from lab.cloud.auth.keys import Keyring
from lab.cloud.instance_connect.api import BURST, RATE, InstanceConnectApi
from lab.cloud.instance_connect.pushed_keys import PushedKeys
from lab.cloud.instance_connect.request import InvalidArgsError, public_key
from lab.cloud.instance_connect.signer import Signer
from lab.settings import ACCESS_KEY, ACCOUNT_ID, SECRET_KEY, Settings
from lab.standin.authority import authority
from tests.support.instance_connect import Clock, key_pair
from tests.support.metadata import Instance

RUNNING, STOPPED = "i-0123456789abcdef0", "i-0123456789abcdef1"


@dataclass
class Api:
    """The service behind the gate, on loopback."""

    url: str
    keys: PushedKeys
    keyring: Keyring
    clock: Clock

    def client(self, key: str = ACCESS_KEY, secret: str = SECRET_KEY, token: str | None = None) -> Any:
        make: Any = boto3.client
        return make(
            "ec2-instance-connect",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}),
        )

    def entries(self, instance_id: str = RUNNING, user: str = "ec2-user") -> str:
        return self.keys.of(Instance(instance_id=instance_id)).active.get(user, "")


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> str:
    return key_pair(tmp_path_factory.mktemp("key"))[1]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(authority(tmp_path_factory.mktemp("cache")), "us-east-1")


@pytest.fixture
def api(signer: Signer) -> Iterator[Api]:
    clock, keyring = Clock(), Keyring()
    zone = SimpleNamespace(zone="us-east-1a")
    instances = {
        RUNNING: SimpleNamespace(state="running", placement=zone),
        STOPPED: SimpleNamespace(state="stopped", placement=zone),
    }
    keys = PushedKeys(lambda region: signer, clock)
    service = InstanceConnectApi(keys, lambda region: instances if region == "us-east-1" else {}, clock)
    routes = {("ec2-instance-connect", "*"): service}
    gate = Gate(
        lambda environ, start: [], Settings("t", Path("/nowhere"), Path("/nowhere")), keys=keyring, routes=routes
    )
    server = make_server("127.0.0.1", 0, gate, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Api(f"http://127.0.0.1:{server.server_port}", keys, keyring, clock)
    server.shutdown()
    server.server_close()


def refused(client: Any, **arguments: Any) -> tuple[str, str]:
    """Code and message of the error that the SDK has understood."""
    with pytest.raises(ClientError) as caught:
        client.send_ssh_public_key(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def pushing(key: str, instance_id: str = RUNNING, user: str = "ec2-user", **more: str) -> dict[str, str]:
    return {"InstanceId": instance_id, "InstanceOSUser": user, "SSHPublicKey": key, **more}


def test_a_pushed_key_is_there_for_sixty_seconds_and_then_gone(api: Api, public: str) -> None:
    answer = api.client().send_ssh_public_key(**pushing(public, AvailabilityZone="us-east-1a"))
    assert answer["Success"] is True
    assert f"#Request={answer['RequestId']}\n{public}\n" in api.entries()
    api.clock.now += 59.9
    assert public in api.entries()
    api.clock.now += 0.1
    assert api.entries() == ""


def test_pushing_a_key_again_begins_its_minute_anew(api: Api, public: str) -> None:
    api.client().send_ssh_public_key(**pushing(public))
    api.clock.now += 40
    api.client().send_ssh_public_key(**pushing(public))
    api.clock.now += 40
    assert api.entries().count(public) == 1


def test_the_entry_has_who_pushed_it_and_for_which_instance_until_when(api: Api, public: str) -> None:
    api.client().send_ssh_public_key(**pushing(f"{public} alice@laptop\n"))
    lines = api.entries().split("\n")
    assert lines[:3] == [
        f"#Timestamp={int(api.clock.now) + 60}",
        f"#Instance={RUNNING}",
        "#Caller=arn:aws:iam::000000000000:user/lab",
    ]
    assert lines[4] == public
    assert lines[-2:] == ["", ""]


@pytest.mark.parametrize(
    ("instance_id", "zone"), [("i-0000000000000000f", "us-east-1a"), (RUNNING, "us-east-1b")], ids=["id", "zone"]
)
def test_an_instance_that_is_not_there_is_not_found(api: Api, public: str, instance_id: str, zone: str) -> None:
    code, message = refused(api.client(), **pushing(public, instance_id, AvailabilityZone=zone))
    assert code == "EC2InstanceNotFoundException"
    assert instance_id in message


def test_an_instance_that_is_stopped_takes_no_key(api: Api, public: str) -> None:
    code, message = refused(api.client(), **pushing(public, STOPPED))
    assert code == "EC2InstanceStateInvalidException"
    assert f"{STOPPED} is stopped" in message
    assert api.entries(STOPPED) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("InstanceId", "m-0123456789abcdef0"),
        ("InstanceId", "i-0123456789ABCDEF0"),
        ("InstanceOSUser", "ec2 user"),
        ("InstanceOSUser", "-root"),
        ("InstanceOSUser", "ec2-user\n"),
        ("AvailabilityZone", "us-east"),
        ("SSHPublicKey", "x" * 80),
        ("SSHPublicKey", "x" * 4000),
    ],
)
def test_a_parameter_that_does_not_fit_its_pattern_is_named(api: Api, public: str, name: str, value: str) -> None:
    code, message = refused(api.client(), **{**pushing(public), name: value})
    assert code == "InvalidArgsException"
    assert name in message
    assert api.entries() == ""


@pytest.mark.parametrize(("kind", "bits"), [("ecdsa", 256), ("rsa", 3072), ("rsa", 1024)])
def test_a_kind_or_length_of_key_that_the_host_would_not_take_is_refused(
    api: Api, tmp_path: Path, kind: str, bits: int
) -> None:
    _, key = key_pair(tmp_path, kind, bits)
    code, message = refused(api.client(), **pushing(key))
    assert code == "InvalidArgsException"
    assert "is not supported" in message


@pytest.mark.parametrize("bits", [2048, 4096])
def test_rsa_keys_of_2048_and_4096_bits_are_taken(api: Api, tmp_path: Path, bits: int) -> None:
    _, key = key_pair(tmp_path, "rsa", bits)
    api.client().send_ssh_public_key(**pushing(key))
    assert key in api.entries()


def test_too_many_requests_at_once_are_throttled_and_later_ones_are_not(api: Api, public: str) -> None:
    client = api.client()
    for _ in range(int(BURST)):
        client.send_ssh_public_key(**pushing(public))
    assert refused(client, **pushing(public))[0] == "ThrottlingException"
    api.clock.now += 2 / RATE
    assert client.send_ssh_public_key(**pushing(public))["Success"] is True


def test_a_role_needs_the_permission_for_the_instance(api: Api, public: str) -> None:
    with mock_aws():
        iam = iam_backends[ACCOUNT_ID]["aws"]
        iam.create_role("hosts", "{}", "/", None, "", [], "3600")
        issued = api.keyring.issue("hosts", "i-1")
        client = api.client(issued.access_key_id, issued.secret_access_key, issued.token)
        code, message = refused(client, **pushing(public))
        assert code == "AccessDeniedException"
        assert "assumed-role/hosts/i-1 is not authorized to perform: ec2-instance-connect:SendSSHPublicKey" in message
        statement = {"Effect": "Allow", "Action": "ec2-instance-connect:SendSSHPublicKey"}
        statement["Resource"] = f"arn:aws:ec2:us-east-1:000000000000:instance/{RUNNING}"
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_role_policy("hosts", "p", json.dumps(document))
        assert client.send_ssh_public_key(**pushing(public))["Success"] is True
        assert refused(client, **pushing(public, STOPPED))[0] == "AccessDeniedException"
        assert "#Caller=arn:aws:sts::000000000000:assumed-role/hosts/i-1\n" in api.entries()


@given(st.one_of(st.text(), st.text(min_size=80), st.binary(min_size=60).map(lambda data: f"ssh-ed25519 {data.hex()}")))
def test_what_is_no_public_key_is_always_refused_as_such(text: str) -> None:
    with pytest.raises(InvalidArgsError):
        public_key(text)
