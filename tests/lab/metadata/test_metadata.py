"""The metadata service, against what the EC2 User Guide documents of it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest

from lab.metadata import tree
from lab.metadata.server import TTL_HEADER, MetadataServer, Service
from lab.metadata.tree import InstanceMetadata, ManagedKeys, RoleCredentials
from tests.support.metadata import Instance, issue

TTL = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "x-aws-ec2-metadata-token"


def service(instance: Instance) -> Service:
    return Service(lambda address: instance if address == instance.address else None, issue)


def token(of: Service, instance: Instance, ttl: str = "60") -> str:
    answer = of.put("/latest/api/token", {TTL: ttl}, instance.address)
    assert answer.status == HTTPStatus.OK
    return answer.body.decode()


def read(instance: Instance, path: str) -> str | None:
    of = service(instance)
    answer = of.get(path, {TOKEN: token(of, instance)}, instance.address)
    assert answer.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
    return answer.body.decode() if answer.status == HTTPStatus.OK else None


def test_without_a_token_nothing_is_told_when_tokens_are_required() -> None:
    assert service(Instance()).get("/latest/meta-data/", {}, "10.0.32.7").status == HTTPStatus.UNAUTHORIZED


def test_without_a_token_all_is_told_when_tokens_are_optional() -> None:
    optional = Instance(tokens_required=False)
    answer = service(optional).get("/latest/meta-data/instance-id", {}, optional.address)
    assert answer.body == b"i-0123456789abcdef0"


def test_a_wrong_token_is_refused_even_where_tokens_are_optional() -> None:
    optional = Instance(tokens_required=False)
    assert service(optional).get("/latest/meta-data/", {TOKEN: "x"}, optional.address).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("ttl", ["", "0", "21601", "-1", "1.5", "²"])
def test_a_token_needs_a_lifetime_of_one_second_to_six_hours(ttl: str) -> None:
    headers = {TTL: ttl} if ttl else {}
    assert service(Instance()).put("/latest/api/token", headers, "10.0.32.7").status == HTTPStatus.BAD_REQUEST


def test_a_token_ends() -> None:
    instance, clock = Instance(), [1000.0]
    of = Service(lambda address: instance, issue, clock=lambda: clock[0])
    given = token(of, instance, "60")
    clock[0] += 59
    answer = of.get("/latest/meta-data/", {TOKEN: given}, instance.address)
    assert dict(answer.headers)[TTL_HEADER] == "1"
    clock[0] += 2
    assert of.get("/latest/meta-data/", {TOKEN: given}, instance.address).status == HTTPStatus.UNAUTHORIZED


def test_a_token_is_worth_nothing_to_another_instance() -> None:
    mine, theirs = Instance(), Instance(instance_id="i-2", address="10.0.32.8")
    of = Service({mine.address: mine, theirs.address: theirs}.get, issue)
    assert of.get("/latest/meta-data/", {TOKEN: token(of, mine)}, theirs.address).status == HTTPStatus.UNAUTHORIZED


def test_a_proxy_gets_no_token() -> None:
    headers = {TTL: "60", "x-forwarded-for": "203.0.113.7"}
    assert service(Instance()).put("/latest/api/token", headers, "10.0.32.7").status == HTTPStatus.FORBIDDEN


def test_a_disabled_service_refuses_everything() -> None:
    of = service(Instance(enabled=False))
    assert of.get("/latest/meta-data/", {}, "10.0.32.7").status == HTTPStatus.FORBIDDEN
    assert of.put("/latest/api/token", {TTL: "60"}, "10.0.32.7").status == HTTPStatus.FORBIDDEN


def test_an_unknown_address_is_told_nothing() -> None:
    assert service(Instance()).get("/latest/meta-data/", {}, "10.0.99.99").status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("instance-id", "i-0123456789abcdef0"),
        ("ami-id", "ami-0123456789abcdef0"),
        ("instance-type", "t3.medium"),
        ("hostname", "ip-10-0-32-7.ec2.internal"),
        ("local-hostname", "ip-10-0-32-7.ec2.internal"),
        ("local-ipv4", "10.0.32.7"),
        ("mac", "0a:00:0a:00:20:07"),
        ("placement/availability-zone", "us-east-1b"),
        ("placement/region", "us-east-1"),
        ("placement/", "availability-zone\nregion"),
        ("public-keys/", "0=lab"),
        ("public-keys/0/", "openssh-key"),
        ("public-keys/0/openssh-key", "ssh-ed25519 AAAA lab\n"),
        ("security-groups", "web\nssh"),
        ("network/interfaces/macs/", "0a:00:0a:00:20:07/"),
        ("network/interfaces/macs/0a:00:0a:00:20:07/subnet-id", "subnet-1"),
        ("network/interfaces/macs/0a:00:0a:00:20:07/local-ipv4s", "10.0.32.7"),
        ("iam/security-credentials/", "fleet-web"),
    ],
)
def test_metadata_has_the_documented_paths(path: str, text: str) -> None:
    assert read(Instance(), f"/latest/meta-data/{path}") == text


@pytest.mark.parametrize(
    "path", ["tags/", "tags/instance/Name", "spot/instance-action", "nothing", "public-keys/1/openssh-key"]
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert read(Instance(), f"/latest/meta-data/{path}") is None


def test_tags_are_shown_where_the_instance_allows_it() -> None:
    instance = Instance(tags={"Name": "web-1", "Team": "platform-team"})
    assert read(instance, "/latest/meta-data/tags/instance/") == "Name\nTeam"
    assert read(instance, "/latest/meta-data/tags/instance/Name") == "web-1"


def test_directories_are_listed_with_and_without_their_slash() -> None:
    assert (
        read(Instance(), "/latest/meta-data/iam")
        == read(Instance(), "/latest/meta-data/iam/")
        == "info\nsecurity-credentials/"
    )
    assert read(Instance(), "/latest/") == "dynamic\nmeta-data\nuser-data"
    assert "latest" in (read(Instance(), "/") or "").splitlines()


def test_an_instance_without_profile_has_no_credentials() -> None:
    assert read(Instance(profile_arn=None, role_names=()), "/latest/meta-data/iam/") is None


def test_credentials_stay_the_same_until_they_are_about_to_expire() -> None:
    instance, issued = Instance(), list[str]()

    def counted(meta: InstanceMetadata, role: str) -> RoleCredentials:
        now = datetime.now(UTC)
        life = timedelta(minutes=9) if not issued else timedelta(hours=6)
        issued.append(role)
        return RoleCredentials(f"ASIA{len(issued)}", "secret", "session", now, now + life)

    of = Service(lambda address: instance, counted)
    path, headers = "/latest/meta-data/iam/security-credentials/fleet-web", {TOKEN: token(of, instance)}
    keys = [json.loads(of.get(path, headers, instance.address).body)["AccessKeyId"] for _ in range(3)]
    assert keys == ["ASIA1", "ASIA2", "ASIA2"]


def test_user_data_is_given_byte_for_byte_or_not_found() -> None:
    instance = Instance()
    of = service(instance)
    assert of.get("/latest/user-data", {TOKEN: token(of, instance)}, instance.address).body == instance.user_data
    assert read(replace(instance, user_data=None), "/latest/user-data") is None


def test_the_identity_document_names_the_instance() -> None:
    document = json.loads(read(Instance(), "/latest/dynamic/instance-identity/document") or "")
    assert document["instanceId"] == "i-0123456789abcdef0"
    assert document["accountId"] == "000000000000"
    assert document["availabilityZone"] == "us-east-1b"


@pytest.fixture
def port() -> Iterator[int]:
    instance = Instance(address="127.0.0.1")
    server = MetadataServer(service(instance), "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_one_connection_serves_token_and_metadata(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("PUT", "/latest/api/token", headers={TTL: "60"})
    given = connection.getresponse().read().decode()
    connection.request("GET", "/latest/meta-data/instance-id", headers={TOKEN: given})
    answer = connection.getresponse()
    assert answer.read() == b"i-0123456789abcdef0"
    assert answer.getheader("Content-Type") == "text/plain"
    connection.request("GET", "/latest/meta-data/instance-id")
    assert connection.getresponse().status == HTTPStatus.UNAUTHORIZED


@pytest.mark.lab
def test_only_the_answer_with_the_token_has_the_hop_limit_as_its_time_to_live(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as wire:
        wire.settimeout(2)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/latest/meta-data/")
        connection.getresponse().read()
        assert time_to_live(wire, port, b"401") > 2
        connection.request("PUT", "/latest/api/token", headers={TTL: "60"})
        connection.getresponse().read()
        assert time_to_live(wire, port, b"200") == Instance().hop_limit


def time_to_live(wire: socket.socket, port: int, status: bytes) -> int:
    """Of the next packet from `port` that begins an HTTP answer with this status. Layout: RFC 791, RFC 9293."""
    while True:
        packet = wire.recv(65535)
        segment = packet[(packet[0] & 15) * 4 :]
        if int.from_bytes(segment[:2], "big") == port and segment[(segment[12] >> 4) * 4 :].startswith(
            b"HTTP/1.1 " + status
        ):
            return packet[8]


KEYS = ManagedKeys(
    {"ec2-user": "#Timestamp=1\nssh-ed25519 AAAA\nc2lnbmF0dXJl\n\n"}, "certificate\n", {"AB12": "YW5zd2Vy"}
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("managed-ssh-keys/", "active-keys/\nsigner-cert\nsigner-ocsp/"),
        ("managed-ssh-keys/active-keys/", "ec2-user"),
        ("managed-ssh-keys/active-keys/ec2-user/", KEYS.active["ec2-user"]),
        ("managed-ssh-keys/active-keys/alice/", None),
        ("managed-ssh-keys/signer-cert/", "certificate\n"),
        ("managed-ssh-keys/signer-ocsp/", "AB12"),
        ("managed-ssh-keys/signer-ocsp/AB12", "YW5zd2Vy"),
    ],
)
def test_keys_that_were_pushed_are_where_the_hosts_package_reads_them(path: str, text: str | None) -> None:
    found = tree.read(Instance(), f"/latest/meta-data/{path}", issue, KEYS)
    assert found == (None if text is None else text.encode())
