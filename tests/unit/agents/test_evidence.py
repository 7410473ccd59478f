"""What the agents' own reports prove, and what they don't."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._agents.evidence import (
    OLD_CHANNEL,
    REGISTRATION_CHECKS,
    json_object,
    readiness,
    ready,
    registration_errors,
)
from hypothesis import given
from hypothesis import strategies as st

OVERRIDE = "Applying config override from /etc/amazon/ssm/amazon-ssm-agent.json.\n"


def diagnostics(version: str = "3.3.987.0", **changed: tuple[str, str]) -> str:
    """As ssm-cli prints them; `changed`: check → status and note."""
    checks = (*REGISTRATION_CHECKS, OLD_CHANNEL, "Connectivity to s3 endpoint", "Hybrid instance registration")
    passed = {name: ("Success", f"note of {name}") for name in checks}
    passed["SSM Agent version"] = ("Success", f"SSM Agent version is {version}, latest agent version is 9.9.9.0")
    entries = [{"Check": n, "Status": s, "Note": note} for n, (s, note) in (passed | changed).items()]
    return json.dumps({"DiagnosticsOutput": entries}, indent=2)


def seen(**changed: Any) -> dict[str, Any]:
    return {
        "classic": [],
        "service": "amazon-ssm-agent",
        "service_state": "active",
        "plugin": "",
        "inventory": "",
        "paths": {"/opt/shop": True},
    } | changed


def test_an_agent_whose_checks_all_pass_lacks_nothing() -> None:
    assert registration_errors(diagnostics()) == []


@pytest.mark.parametrize("name", REGISTRATION_CHECKS)
@pytest.mark.parametrize("status", ["Failed", "Skipped"])
def test_a_check_that_did_not_pass_is_an_error_with_the_agents_note(name: str, status: str) -> None:
    assert registration_errors(diagnostics(**{name: (status, "why")})) == [f"{name}: {status} (why)"]


@pytest.mark.parametrize("name", ["Connectivity to s3 endpoint", "Hybrid instance registration", OLD_CHANNEL])
def test_what_the_agent_does_without_is_no_error(name: str) -> None:
    assert registration_errors(diagnostics(**{name: ("Failed", "not reachable")})) == []


@pytest.mark.parametrize(("version", "errors"), [("3.1.501.0", 1), ("3.3.39.9", 1), ("3.3.40.0", 0), ("4.0.0.0", 0)])
def test_an_old_agent_needs_the_old_channel_too(version: str, errors: int) -> None:
    assert len(registration_errors(diagnostics(version, **{OLD_CHANNEL: ("Failed", "no route")}))) == errors


@pytest.mark.parametrize(
    ("note", "errors"),
    [
        ("STS call timed out", 0),
        ("Failed call sts endpoint: RequestError: send request failed\ncaused by: Post: dial tcp: i/o timeout", 0),
        ("Failed call sts endpoint: InvalidClientTokenId: The security token is invalid", 1),
        ("Failed call sts endpoint: NoCredentialProviders: no valid providers in chain", 1),
        ("EC2RoleRequestError: no EC2 instance role found", 1),
        ("Failed to initialize aws session: x", 1),
    ],
)
def test_not_reaching_sts_says_nothing_of_the_credentials(note: str, errors: int) -> None:
    assert len(registration_errors(diagnostics(**{"AWS Credentials": ("Failed", note)}))) == errors


def test_an_endpoint_of_systems_manager_that_times_out_is_an_error_whatever_its_note_says() -> None:
    changed = {"Connectivity to ssm endpoint": ("Failed", "STS call timed out")}
    assert len(registration_errors(diagnostics(**changed))) == 1


def test_a_check_that_was_not_made_proves_nothing() -> None:
    errors = registration_errors('{"DiagnosticsOutput": []}')
    assert len(errors) == len(REGISTRATION_CHECKS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OVERRIDE, "\n"),
        (OVERRIDE + "Failed to unmarshal config override. Fall back to default.\n", ""),
        ("{not json}\n", "\n{}"),
        ('2026/11/29 panic during check: {"a": 1}\n', "\nStacktrace:\n"),
    ],
)
def test_lines_around_the_diagnostics_do_not_matter(before: str, after: str) -> None:
    assert registration_errors(before + diagnostics() + after) == []


@given(before=st.text(), value=st.dictionaries(st.text(), st.integers() | st.text()), after=st.text())
def test_the_object_with_the_key_is_found_between_any_texts(before: str, value: dict[str, Any], after: str) -> None:
    document = {**value, "the key": 1}
    before = before.replace("the key", "")
    assert json_object(f"{before}\n{json.dumps(document)}{after}", "the key") == document


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON object with DiagnosticsOutput in its output: it is empty"),
        ("usage: ssm-cli\n\nerror: no", "no JSON object with DiagnosticsOutput in its output: usage: ssm-cli"),
        ("[]", "no JSON object with DiagnosticsOutput"),
        ("{}", "no JSON object with DiagnosticsOutput"),
        (OVERRIDE, "no JSON object with DiagnosticsOutput in its output: Applying config override"),
        ('{"DiagnosticsOutput": null}', "its DiagnosticsOutput is no list"),
        ('{"DiagnosticsOutput": ["EC2 IMDS"]}', "a check in it has no name or no status"),
        ('{"DiagnosticsOutput": [{"Check": "EC2 IMDS"}]}', "a check in it has no name or no status"),
    ],
)
def test_anything_but_the_diagnostics_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        registration_errors(text)


def test_a_host_that_brings_all_it_must_is_ready_although_the_account_is_unknown() -> None:
    findings = readiness(seen())
    assert ready(findings)
    assert {f["name"] for f in findings if f["state"] == "unknown"} == {"ssm_plugin", "inventory"}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"classic": ["/opt/aws/awsagent"]}, "classic_agent"),
        ({"service_state": "inactive"}, "ssm_agent"),
        ({"paths": {"/opt/gone": False}}, "deep_inspection_path"),
    ],
)
def test_what_the_host_must_bring_makes_it_not_ready(changed: dict[str, Any], name: str) -> None:
    findings = readiness(seen(**changed))
    assert not ready(findings)
    assert [f["name"] for f in findings if f["state"] == "missing"] == [name]
