"""The door of the lab's API, asked by real SDK clients: foreign keys, unknown calls, in the shape of every protocol."""

from __future__ import annotations

import importlib
import inspect
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.responses import BaseResponse
from moto.core.utils import camelcase_to_underscores
from werkzeug.serving import make_server

from lab.cloud.auth.allow import ALLOWED, allowed
from lab.cloud.auth.gate import Gate
from lab.cloud.auth.keys import Keyring
from lab.settings import ACCESS_KEY, SECRET_KEY, Settings

FOREIGN = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYAA", None)
LAB = (ACCESS_KEY, SECRET_KEY, None)

# One read that the lab answers and one call that it does not do, per protocol: JSON, query, EC2 query, REST with XML, CBOR or JSON.
SERVICES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "ssm": ("list_documents", {}, "describe_patch_baselines", {}),
    "autoscaling": ("describe_auto_scaling_groups", {}, "start_instance_refresh", {"AutoScalingGroupName": "a"}),
    "ec2": ("describe_instances", {}, "create_nat_gateway", {"SubnetId": "subnet-1"}),
    "s3": ("list_buckets", {}, "put_bucket_website", {"Bucket": "b", "WebsiteConfiguration": {}}),
    "cloudwatch": ("list_metrics", {}, "describe_alarms", {}),
    "iam": ("list_roles", {}, "list_users", {}),
}
UNKNOWN_SERVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "lambda": ("list_functions", {}),
    "dynamodb": ("list_tables", {}),
    "route53": ("list_hosted_zones", {}),
    "rds": ("describe_db_instances", {}),
}


class Behind:
    """Stands where moto stands: remembers that a request came through."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        call = environ["lab.call"]
        self.calls.append(f"{call.service}:{call.action}")
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response/>" if call.style in ("ec2", "query", "s3") else b"{}"]


@pytest.fixture(scope="module")
def keys() -> Keyring:
    return Keyring()


@pytest.fixture(scope="module")
def gate(keys: Keyring) -> Iterator[tuple[str, Behind]]:
    behind = Behind()
    settings = Settings("t", Path("/nowhere"), Path("/nowhere"))
    server = make_server("127.0.0.1", 0, Gate(behind, settings, keys=keys), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", behind
    server.shutdown()
    server.server_close()


def client(
    url: str, service: str, credentials: tuple[str, str, str | None] = LAB, region: str = "us-east-1", **config: Any
) -> Any:
    key, secret, token = credentials
    make: Any = boto3.client
    return make(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
    )


def get(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=5)  # noqa: S310 - the tests' own server


def refused(call: Any, arguments: dict[str, Any]) -> tuple[str, str, int]:
    """Code, message and HTTP status of the error that the SDK has understood."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_real_accounts_key_is_refused(gate: tuple[str, Behind], service: str) -> None:
    url, behind = gate
    behind.calls.clear()
    read, arguments, _, _ = SERVICES[service]
    code, message, status = refused(getattr(client(url, service, FOREIGN), read), arguments)
    assert (code, status) == ("InvalidClientTokenId", 403)
    assert "lab run" in message
    assert behind.calls == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_call_that_the_lab_does_not_do_is_refused_by_name(gate: tuple[str, Behind], service: str) -> None:
    url, behind = gate
    behind.calls.clear()
    _, _, action, arguments = SERVICES[service]
    code, message, status = refused(getattr(client(url, service), action), arguments)
    name = "".join(part.capitalize() for part in action.split("_"))
    assert (code, status) == (("NotImplemented", 501) if service == "s3" else ("UnsupportedOperation", 400))
    assert name in message
    assert "lab/cloud/auth/allow.py" in message
    assert behind.calls == []


@pytest.mark.parametrize("service", UNKNOWN_SERVICES)
def test_a_service_that_the_lab_does_not_have_is_refused(gate: tuple[str, Behind], service: str) -> None:
    url, _ = gate
    action, arguments = UNKNOWN_SERVICES[service]
    code, message, _ = refused(getattr(client(url, service), action), arguments)
    assert code == "UnsupportedOperation"
    assert service in message


@pytest.mark.parametrize("service", ["ssm", "ec2", "s3"])
def test_the_labs_own_key_comes_in(gate: tuple[str, Behind], service: str) -> None:
    url, behind = gate
    behind.calls.clear()
    read, arguments, _, _ = SERVICES[service]
    getattr(client(url, service), read)(**arguments)
    assert len(behind.calls) == 1


def test_credentials_that_the_lab_has_issued_come_in(gate: tuple[str, Behind], keys: Keyring) -> None:
    url, behind = gate
    behind.calls.clear()
    issued = keys.issue("fleet-web", "i-1")
    credentials = (issued.access_key_id, issued.secret_access_key, issued.token)
    client(url, "ssm", credentials).list_documents()
    assert behind.calls == ["ssm:ListDocuments"]
    holder = keys.holder(issued.access_key_id)
    assert holder is not None
    assert holder.arn.endswith("assumed-role/fleet-web/i-1")


def test_issued_credentials_need_their_token(gate: tuple[str, Behind], keys: Keyring) -> None:
    issued = keys.issue("fleet-web", "i-1")
    url, _ = gate
    key = (issued.access_key_id, issued.secret_access_key, "another token")
    assert refused(client(url, "ssm", key).list_documents, {})[0] == "InvalidClientTokenId"


def test_expired_credentials_are_refused(
    gate: tuple[str, Behind], keys: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = keys.issue("fleet-web", "i-1", seconds=60)
    later = datetime.now(UTC) + timedelta(seconds=61)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return later

    monkeypatch.setattr("lab.cloud.auth.gate.datetime", Later)
    url, _ = gate
    key = (issued.access_key_id, issued.secret_access_key, issued.token)
    assert refused(client(url, "ssm", key).list_documents, {})[0] == "ExpiredToken"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_presigned_url_comes_in_by_its_key(gate: tuple[str, Behind], version: str) -> None:
    url, behind = gate
    behind.calls.clear()
    what = {"Bucket": "b", "Key": "dir/file.tar.gz"}
    own = client(url, "s3", signature_version=version).generate_presigned_url("get_object", Params=what)
    with get(own) as answer:
        assert answer.status == HTTPStatus.OK
    assert behind.calls == ["s3:GetObject"]
    foreign = client(url, "s3", FOREIGN, signature_version=version).generate_presigned_url("get_object", Params=what)
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(foreign)
    assert caught.value.code == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("path", ["/", "/moto-api/reset", "/moto-api/", "/latest/meta-data/", "/bucket/key"])
def test_a_request_without_a_signature_is_refused(gate: tuple[str, Behind], path: str) -> None:
    url, behind = gate
    behind.calls.clear()
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url + path)
    assert caught.value.code == HTTPStatus.FORBIDDEN
    assert b"MissingAuthenticationToken" in caught.value.read()
    assert behind.calls == []


def test_a_region_that_the_lab_does_not_have_is_refused(gate: tuple[str, Behind]) -> None:
    url, _ = gate
    code, message, _ = refused(client(url, "ec2", region="eu-central-1").describe_instances, {})
    assert code == "UnsupportedOperation"
    assert "eu-central-1" in message


def test_copying_is_told_from_putting_an_object(gate: tuple[str, Behind]) -> None:
    url, behind = gate
    behind.calls.clear()
    s3 = client(url, "s3")
    s3.put_object(Bucket="b", Key="k", Body=b"x")
    s3.copy_object(Bucket="b", Key="k2", CopySource="b/k")
    assert behind.calls == ["s3:PutObject", "s3:CopyObject"]


def test_every_call_on_the_list_is_one_of_aws() -> None:
    names = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
    session: Any = boto3.Session()
    for service, actions in ALLOWED.items():
        if service == "ec2messages":
            continue
        known = set(
            session.client(names.get(service, service), region_name="us-east-1").meta.service_model.operation_names
        )
        assert actions - known - {"UpdateInstanceInformation"} == set(), service


def test_the_list_is_by_service_and_exact() -> None:
    assert allowed("ec2", "RunInstances")
    assert not allowed("ec2", "runinstances")
    assert not allowed("rds", "RunInstances")
    assert not allowed("", "")


def test_issued_keys_say_where_they_are_from() -> None:
    issued = Keyring().issue("r", "s")
    assert issued.access_key_id.startswith("ASIAFLEETLAB")
    assert len(issued.access_key_id) == 20


def test_moto_or_the_lab_implements_every_call_on_the_list() -> None:
    modules = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
    own = {
        "ec2": ["ec2.api"],
        "ssm": ["ssm.api"],
        "autoscaling": ["autoscaling.api"],
        "elasticloadbalancing": ["elbv2.api"],
    }
    for service, actions in ALLOWED.items():
        # The lab has no class for the first two; moto's classes for the others have methods of other names.
        if service in ("ec2-instance-connect", "ec2messages", "s3", "xray"):
            continue
        places = [
            f"moto.{modules.get(service, service)}.responses",
            *(f"lab.cloud.{name}" for name in own.get(service, [])),
        ]
        methods: dict[str, Any] = {}
        for place in places:
            for found in vars(importlib.import_module(place)).values():
                if isinstance(found, type) and issubclass(found, BaseResponse):
                    methods |= {name: getattr(found, name) for name in dir(found) if not name.startswith("__")}
        for action in actions - {"UpdateInstanceInformation"}:
            method = methods.get(camelcase_to_underscores(action))
            assert method is not None, f"{service}:{action}"
            assert "NotImplementedError" not in inspect.getsource(method), f"{service}:{action}"


def test_an_expired_or_foreign_key_is_not_accepted() -> None:
    ring = Keyring()
    good = ring.issue("web", "i-1")
    late = ring.issue("web", "i-2", seconds=-1)
    assert ring.accepts(ACCESS_KEY)
    assert ring.accepts(good.access_key_id)
    for key in (late.access_key_id, "AKIAIOSFODNN7EXAMPLE", "", None):
        assert not ring.accepts(key)
