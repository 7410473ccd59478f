"""What the agents on a host say of themselves, judged by pure functions. Runs on the hosts, under Python 2.7 and 3.7+."""
# ruff: noqa: UP001, UP010, UP030

from __future__ import absolute_import, division, print_function

import json

MYPY = False
if MYPY:
    from typing import Any  # noqa: F401 - in type comments, which Python 2.7 skips

__metaclass__ = type

REGISTRATION_CHECKS = (
    "EC2 IMDS",
    "AWS Credentials",
    "Agent service",
    "Connectivity to ssm endpoint",
    "Connectivity to ec2messages endpoint",
)
"""The checks of `ssm-cli get-diagnostics` (SSM Agent 3.1.501.0 or later) without which Systems Manager can't manage the host."""
IF_MADE = ("Registration", "Hybrid instance registration")
"""Checks that only some agents make, or skip; they must not have failed."""


def registration_faults(diagnostics):
    # type: (str) -> list[str]
    """What keeps the host from being managed, one sentence each, from the JSON output of `ssm-cli get-diagnostics`.

    A check that the agent did not make counts as a fault: nothing is taken for proven. Raises ValueError for anything but that JSON.
    """
    document = json.loads(diagnostics)
    if not isinstance(document, dict) or "DiagnosticsOutput" not in document:
        raise ValueError("it has no DiagnosticsOutput")
    made = {entry["Check"]: entry for entry in document["DiagnosticsOutput"]}
    faults = []
    for name in REGISTRATION_CHECKS:
        entry = made.get(name, {"Status": "not made", "Note": "the agent knows no such check"})
        if entry["Status"] != "Success":
            faults.append("{0}: {1} ({2})".format(name, entry["Status"], entry.get("Note", "")))
    for name in IF_MADE:
        if made.get(name, {}).get("Status") == "Failed":
            faults.append("{0}: Failed ({1})".format(name, made[name].get("Note", "")))
    return faults


def finding(name, state, detail):
    # type: (str, str, str) -> dict[str, str]
    """`state`: ok, missing, or unknown where a host can't prove it."""
    return {"name": name, "state": state, "detail": detail}


def readiness(seen):
    # type: (dict[str, Any]) -> list[dict[str, str]]
    """The findings of the readiness report for Inspector v2.

    `seen`: classic (paths of Inspector Classic that are there), service (name), service_state (`systemctl is-active`), plugin (path or
    empty), inventory (path or empty), paths (deep-inspection path → whether it is there).
    """
    active = seen["service_state"] == "active"
    findings = [
        finding(
            "classic_agent",
            "missing" if seen["classic"] else "ok",
            "left: {0}".format(", ".join(seen["classic"]) or "nothing"),
        ),
        finding(
            "ssm_agent", "ok" if active else "missing", "{0} is {1}".format(seen["service"], seen["service_state"])
        ),
        finding(
            "ssm_plugin",
            "ok" if seen["plugin"] else "unknown",
            seen["plugin"]
            or "not here yet; Inspector's own association installs it once it is enabled for the account",
        ),
        finding(
            "inventory",
            "ok" if seen["inventory"] else "unknown",
            seen["inventory"]
            or "none collected here yet; Inspector's own association does it once it is enabled for the account",
        ),
    ]
    for path, there in sorted(seen["paths"].items()):
        findings.append(finding("deep_inspection_path", "ok" if there else "missing", path))
    return findings


def ready(findings):
    # type: (list[dict[str, str]]) -> bool
    """Nothing that the host itself must bring is missing."""
    return all(entry["state"] != "missing" for entry in findings)
