"""Values as AWS has them: what becomes of parameters and secrets, and what a person is told when they can't be had."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.sources import ValuesError, collect

SECRETS = {
    "prod/db": {"SecretString": json.dumps({"password": 'p$ "w"', "port": 3306})},
    "prod/key": {"SecretBinary": base64.b64encode(b"\x00\xff").decode()},
    "prod/pem": {"SecretString": "-----BEGIN\nEND-----\n"},
}


class Cloud:
    """Answers as the command line does."""

    region = "us-east-1"

    def __init__(self, **parameters: str) -> None:
        self.parameters = parameters
        self.calls: list[tuple[str, ...]] = []

    def call(self, *words: str) -> dict[str, Any]:
        self.calls.append(words)
        if words[0] == "ssm":
            return {"Parameters": [{"Name": f"/shop/config/{k}", "Value": v} for k, v in self.parameters.items()]}
        return SECRETS[words[3]]


def desired(*secrets: dict[str, str], path: str = "") -> dict[str, Any]:
    return {"parameters_path": path, "secrets": list(secrets)}


def test_a_parameter_below_the_path_is_a_variable_named_by_the_rest_of_its_name() -> None:
    cloud = Cloud(**{"log/level": "debug", "cache-size": "5"})
    assert collect(desired(path="/shop/config"), cloud) == ({"LOG_LEVEL": "debug", "CACHE_SIZE": "5"}, {})


def test_a_secret_is_asked_for_once_however_many_of_its_keys_are_used() -> None:
    cloud = Cloud()
    secrets = [
        {"name": "prod/db", "json_key": "password", "environment": "DATABASE_PASSWORD"},
        {"name": "prod/db", "json_key": "port", "environment": "DATABASE_PORT"},
        {"name": "prod/key", "file": "key"},
        {"name": "prod/pem", "file": "tls.pem"},
    ]
    environment, files = collect(desired(*secrets), cloud)
    assert environment == {"DATABASE_PASSWORD": 'p$ "w"', "DATABASE_PORT": "3306"}
    assert files == {"key": b"\x00\xff", "tls.pem": b"-----BEGIN\nEND-----\n"}
    assert len(cloud.calls) == 3


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ({"name": "prod/db", "json_key": "user", "environment": "A"}, "secret prod/db has no key user"),
        ({"name": "prod/pem", "json_key": "user", "environment": "A"}, "secret prod/pem is not JSON"),
        ({"name": "prod/pem", "environment": "A"}, "has a line break"),
        ({"name": "prod/key", "environment": "A"}, "is not text"),
        ({"name": "prod/db", "environment": "PORT"}, "which can't be set"),
        ({"name": "prod/db", "environment": "LOG"}, "both parameter /shop/config/log and secret prod/db"),
    ],
)
def test_a_value_that_can_not_be_used_is_named_and_not_shown(secret: dict[str, str], expected: str) -> None:
    with pytest.raises(ValuesError, match=expected) as refusal:
        collect(desired(secret, path="/shop/config"), Cloud(log="x"))
    assert "p$" not in str(refusal.value)
    assert "BEGIN" not in str(refusal.value)


def test_a_path_without_parameters_is_a_mistake() -> None:
    with pytest.raises(ValuesError, match="no parameter below /shop/config in us-east-1"):
        collect(desired(path="/shop/config"), Cloud())


def test_half_of_a_surrogate_pair_in_a_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECRETS, "prod/half", {"SecretString": r'{"password": "x\ud800"}'})
    wanted = {
        "parameters_path": "",
        "secrets": [{"name": "prod/half", "json_key": "password", "environment": "PASSWORD"}],
    }
    with pytest.raises(ValuesError, match="secret prod/half has half of a surrogate pair in its key password"):
        collect(wanted, Cloud())
