"""How an error of AWS reaches the person who runs the playbook."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.client import RETRIES, client
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import UserError, reported
from botocore.exceptions import ClientError, NoCredentialsError


class Failed(Exception):  # noqa: N818 - what Ansible's module does
    pass


class Module:
    """As much of an AnsibleAWSModule as reporting needs."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def fail_json(self, msg: str, **details: Any) -> NoReturn:
        raise Failed(f"{msg} {details}")

    def fail_json_aws(self, error: Exception, msg: str, **details: Any) -> NoReturn:
        raise Failed(f"{msg}: {error} {details}")

    def client(self, service: str, **options: Any) -> str:
        self.asked.append((service, options))
        return service


def test_a_message_for_a_person_begins_with_what_was_done() -> None:
    with (
        pytest.raises(Failed, match=r"^Testing ami-1: it is gone {'changed': True}$"),
        reported(Module(), "Testing ami-1", details=lambda: {"changed": True}),
    ):
        raise UserError("it is gone")


def test_an_error_of_aws_comes_with_what_it_left_behind_and_what_to_do() -> None:
    error = ClientError({"Error": {"Code": "ExpiredToken", "Message": "too old"}}, "PutParameter")
    with (
        pytest.raises(Failed, match=r"^Publishing; all was restored; renew the credentials, .*too old"),
        reported(Module(), "Publishing", note="all was restored"),
    ):
        raise error


def test_an_error_of_the_library_is_reported_too() -> None:
    with (
        pytest.raises(Failed, match=r"^Publishing: Unable to locate credentials"),
        reported(Module(), "Publishing"),
    ):
        raise NoCredentialsError


def test_a_mistake_of_the_program_is_not_hidden() -> None:
    with pytest.raises(KeyError), reported(Module(), "Publishing"):
        raise KeyError("x")


def test_every_client_retries_and_stays_in_the_modules_region_unless_another_is_named() -> None:
    module = Module()
    client(module, "ssm")
    client(module, "ec2", "us-west-2")
    assert module.asked == [
        ("ssm", {"config": {"retries": RETRIES}}),
        ("ec2", {"config": {"retries": RETRIES}, "region": "us-west-2"}),
    ]
