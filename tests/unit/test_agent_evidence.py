"""What the agents' own words prove, and what they don't."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils.agent_evidence import (
    REGISTRATION_CHECKS,
    readiness,
    ready,
    registration_faults,
)


def diagnostics(**changed: str) -> str:
    entries = [
        {"Check": name, "Status": changed.get(name, "Success"), "Note": f"note of {name}"}
        for name in REGISTRATION_CHECKS
    ]
    return json.dumps({"DiagnosticsOutput": entries})


def seen(**changed: Any) -> dict[str, Any]:
    return {
        "classic": [],
        "service": "amazon-ssm-agent",
        "service_state": "active",
        "plugin": "",
        "inventory": "",
        "paths": {"/opt/shop": True},
    } | changed


def test_an_agent_whose_checks_all_pass_can_be_managed() -> None:
    assert registration_faults(diagnostics()) == []


def test_a_failed_check_is_a_fault_with_the_agents_note() -> None:
    assert registration_faults(diagnostics(**{"AWS Credentials": "Failed"})) == [
        "AWS Credentials: Failed (note of AWS Credentials)"
    ]


def test_a_check_that_was_not_made_proves_nothing() -> None:
    faults = registration_faults('{"DiagnosticsOutput": []}')
    assert len(faults) == len(REGISTRATION_CHECKS)


def test_a_check_that_only_some_agents_make_counts_when_it_failed() -> None:
    said = json.loads(diagnostics())
    said["DiagnosticsOutput"].append({"Check": "Hybrid instance registration", "Status": "Skipped", "Note": "none"})
    assert registration_faults(json.dumps(said)) == []
    said["DiagnosticsOutput"].append({"Check": "Registration", "Status": "Failed", "Note": "AccessDenied"})
    assert registration_faults(json.dumps(said)) == ["Registration: Failed (AccessDenied)"]


@pytest.mark.parametrize("text", ["", "usage: ssm-cli", "[]", "{}"])
def test_anything_but_the_diagnostics_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        registration_faults(text)


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
