"""The lab's Parameter Store after calls that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from moto.core.exceptions import ServiceException
from moto.ssm import models

from lab.cloud.ssm.parameter_records import LabParameter
from lab.cloud.ssm.records import LabSsmBackend

NAME = "/fleet/shop"


def put(backend: Any, **more: Any) -> Any:
    asked = {"parameter_type": "String", "allowed_pattern": None, "keyid": None, "overwrite": False, "tags": [], **more}
    return backend.put_parameter(NAME, "", "value", data_type="text", tier=None, policies=None, **asked)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(models, "Parameter", LabParameter)
    return LabSsmBackend("us-east-1", "123456789012")


@pytest.mark.parametrize(
    "call",
    [
        lambda backend: backend.label_parameter_version(NAME, 1, ["good"]),
        lambda backend: backend.unlabel_parameter_version(NAME, 1, ["good"]),
        lambda backend: put(backend, parameter_type="SecureString", keyid="alias/nobody-has-it"),
    ],
    ids=["label", "unlabel", "a key that is not there"],
)
def test_a_refused_call_leaves_no_parameter_without_versions(backend: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(ServiceException):
        call(backend)
    assert backend.describe_parameters([], []) == []
    assert backend.get_parameter(NAME) is None
    put(backend)
    assert [found.name for found in backend.describe_parameters([], [])] == [NAME]
