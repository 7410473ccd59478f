# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agents on a host report about themselves, checked by pure functions. Runs on the hosts, under Python 2.7 and 3.7+."""
# ruff: noqa: UP001, UP010, UP030

from __future__ import absolute_import, division, print_function

import json
import re

from ansible.module_utils.common.text.converters import to_native

MYPY = False
if MYPY:
    from typing import Any  # noqa: F401 - in type comments, which Python 2.7 skips

__metaclass__ = type

CREDENTIALS = "AWS Credentials"
REGISTRATION_CHECKS = (
    "EC2 IMDS",
    CREDENTIALS,
    "Agent service",
    "Connectivity to ssm endpoint",
    "Connectivity to ssmmessages endpoint",
)
"""The checks of `ssm-cli get-diagnostics` (SSM Agent 3.1.501.0 or later) without which it can't register, take commands, open sessions."""
OLD_CHANNEL = "Connectivity to ec2messages endpoint"
"""What an agent before `NEW_CHANNEL_VERSION` takes its commands by as well; later ones do without where ssmmessages is there."""
NEW_CHANNEL_VERSION = (3, 3, 40)
STS_NOT_REACHED = ("STS call timed out", "Failed call sts endpoint: RequestError")
"""Notes of the check `CREDENTIALS` that say nothing of the credentials: it asks STS, which a subnet with endpoints for Systems Manager
alone does not reach, and which the agent doesn't need."""


def json_object(output, key):
    # type: (str, str) -> dict[str, Any]
    """The JSON object with `key` in a program's output. ssm-cli prints other lines before it ("Applying config override from ...").

    Raises ValueError, with what the output is instead.
    """
    decoder = json.JSONDecoder()
    start = output.find("{")
    while start >= 0:
        try:
            found = decoder.raw_decode(output[start:])[0]
        except ValueError:
            found = None
        if isinstance(found, dict) and key in found:
            return found
        start = output.find("{", start + 1)
    raise ValueError("no JSON object with {0} in its output: {1}".format(key, output.strip()[-300:] or "it is empty"))


def registration_errors(diagnostics):
    # type: (str) -> list[str]
    """What keeps the agent from registering, one sentence each, from the output of `ssm-cli get-diagnostics`.

    None is no proof that the host is registered: only Systems Manager can say that. A check that the agent did not make counts as an
    error: nothing is taken for proven. Raises ValueError for an output without the diagnostics.
    """
    entries = json_object(diagnostics, "DiagnosticsOutput")["DiagnosticsOutput"]
    if not isinstance(entries, list):
        raise ValueError("its DiagnosticsOutput is no list")
    if not all(isinstance(entry, dict) and "Check" in entry and "Status" in entry for entry in entries):
        raise ValueError("a check in it has no name or no status")
    made = {entry["Check"]: entry for entry in entries}
    needed = REGISTRATION_CHECKS + ((OLD_CHANNEL,) if _is_old(made) else ())
    return [to_native(error) for error in (_error(name, made.get(name)) for name in needed) if error]


def _error(name, entry):
    # type: (str, dict[str, Any] | None) -> str
    """What a check says against registering; empty when it says nothing."""
    if entry is None:
        return name + ": not made (the agent knows no such check)"
    note = "%s" % (entry.get("Note", ""),)
    proves_nothing = name == CREDENTIALS and note.startswith(STS_NOT_REACHED)
    return "" if entry["Status"] == "Success" or proves_nothing else "%s: %s (%s)" % (name, entry["Status"], note)


def _is_old(made):
    # type: (dict[str, dict[str, Any]]) -> bool
    """Whether the agent's own version check names one that takes its commands by ec2messages only."""
    found = re.search(r"version is (\d+(?:\.\d+)+)", "%s" % (made.get("SSM Agent version", {}).get("Note", ""),))
    return found is not None and tuple(int(part) for part in found.group(1).split(".")) < NEW_CHANNEL_VERSION


def result(name, state, detail):
    # type: (str, str, str) -> dict[str, str]
    """`state`: ok, missing, or unknown where a host can't prove it."""
    return {"name": name, "state": state, "detail": detail}


def readiness(seen):
    # type: (dict[str, Any]) -> list[dict[str, str]]
    """The findings of the readiness report for Inspector v2.

    `seen`: classic (paths of Inspector Classic that are there), service (name), service_state (`systemctl is-active`), plugin (path or
    empty), inventory (path or empty), paths (deep-inspection path: whether it is there).
    """
    active = seen["service_state"] == "active"
    findings = [
        result(
            "classic_agent",
            "missing" if seen["classic"] else "ok",
            "left: {0}".format(", ".join(seen["classic"]) or "nothing"),
        ),
        result("ssm_agent", "ok" if active else "missing", "{0} is {1}".format(seen["service"], seen["service_state"])),
        result(
            "ssm_plugin",
            "ok" if seen["plugin"] else "unknown",
            seen["plugin"]
            or "not here yet; Inspector's own association installs it once it is enabled for the account",
        ),
        result(
            "inventory",
            "ok" if seen["inventory"] else "unknown",
            seen["inventory"]
            or "none collected here yet; Inspector's own association does it once it is enabled for the account",
        ),
    ]
    for path, there in sorted(seen["paths"].items()):
        findings.append(result("deep_inspection_path", "ok" if there else "missing", path))
    return findings


def ready(findings):
    # type: (list[dict[str, str]]) -> bool
    """Nothing that the host itself must bring is missing."""
    return all(entry["state"] != "missing" for entry in findings)
