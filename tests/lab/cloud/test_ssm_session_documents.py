"""Session documents: what CreateDocument takes and refuses, and what a session is made of."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cloud.ssm.documents import DocumentError, ParameterError
from lab.cloud.ssm.session_documents import AMAZON_DOCUMENTS, PREFERENCES, SSH, plan, validate

SHELL: dict[str, Any] = {"schemaVersion": "1.0", "description": "x", "sessionType": "Standard_Stream", "inputs": {}}
PORT: dict[str, Any] = {
    "schemaVersion": "1.0",
    "sessionType": "Port",
    "parameters": {"number": {"type": "String", "default": "8080"}},
    "properties": {"portNumber": "{{ number }}"},
}


@pytest.mark.parametrize("document", [SHELL, PORT, PREFERENCES, *AMAZON_DOCUMENTS.values()])
def test_good_documents_are_accepted(document: dict[str, Any]) -> None:
    validate(document)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**SHELL, "schemaVersion": "2.2"}, "schemaVersion is '2.2'"),
        ({**SHELL, "mainSteps": []}, "Unknown element 'mainSteps' in document"),
        ({**SHELL, "sessionType": "InteractiveCommands"}, "sessionType is 'InteractiveCommands'"),
        ({**SHELL, "inputs": {"idle": "5"}}, "Unknown element 'idle' in inputs"),
        ({**SHELL, "inputs": {"idleSessionTimeout": "0"}}, "idleSessionTimeout is '0', not a number of minutes from 1 to 60"),
        ({**SHELL, "inputs": {"idleSessionTimeout": "61"}}, "idleSessionTimeout is '61'"),
        ({**SHELL, "inputs": {"maxSessionDuration": "1441"}}, "maxSessionDuration is '1441', not .* from 1 to 1440"),
        ({**SHELL, "inputs": {"s3BucketName": "logs"}}, "do not do s3BucketName"),
        ({**SHELL, "inputs": {"kmsKeyId": "alias/x"}}, "do not do kmsKeyId"),
        ({**SHELL, "inputs": {"runAsEnabled": True}}, "runAsEnabled needs runAsDefaultUser"),
        ({**SHELL, "inputs": []} | {"inputs": ["x"]}, "inputs is not a mapping"),
        ({**SHELL, "properties": {"linux": {"commands": "x"}}}, "take no properties"),
        ({**PORT, "properties": {}}, "need portNumber"),
        ({**PORT, "properties": {"portNumber": "1", "type": "LocalPortForwarding"}}, "no type 'LocalPortForwarding'"),
        ({**PORT, "parameters": {"number": {"type": "Text"}}}, "has type 'Text'"),
    ],
)  # fmt: skip
def test_every_mistake_is_refused_and_named(document: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        validate(document)


def test_a_session_without_preferences_has_the_documented_defaults() -> None:
    made = plan(PREFERENCES, {})
    assert (made.session_type, made.idle_minutes, made.longest_minutes) == ("Standard_Stream", 20, None)
    assert (made.run_as, made.shell_profile, made.properties) == ("", "", {})


def test_preferences_shape_a_shell() -> None:
    inputs = {
        "idleSessionTimeout": "5", "maxSessionDuration": "60", "runAsEnabled": True, "runAsDefaultUser": "ec2-user",
        "shellProfile": {"linux": "cd; exec bash"},
    }  # fmt: skip
    made = plan({**SHELL, "inputs": inputs}, {})
    assert (made.idle_minutes, made.longest_minutes, made.run_as) == (5, 60, "ec2-user")
    assert made.shell_profile == "cd; exec bash"


def test_an_ssh_session_leads_to_port_22_or_the_one_that_is_named() -> None:
    assert plan(AMAZON_DOCUMENTS[SSH], {}).port == 22
    assert plan(AMAZON_DOCUMENTS[SSH], {"portNumber": ["2222"]}).properties == {"portNumber": "2222"}


@pytest.mark.parametrize("number", ["0", "65536", "022", "ssh", "22;id", ""])
def test_a_port_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(ParameterError, match="portNumber"):
        plan(AMAZON_DOCUMENTS[SSH], {"portNumber": [number]})


def test_a_documents_own_port_must_be_one_too() -> None:
    with pytest.raises(ParameterError, match="portNumber is 'x', not a port"):
        plan(PORT, {"number": ["x"]})


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ParameterError, match="host is not defined"):
        plan(AMAZON_DOCUMENTS[SSH], {"host": ["db"]})
