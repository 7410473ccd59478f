"""What the account says is part of the report; what it does not answer is unknown, with the error."""

from __future__ import annotations

import json


def test_a_question_that_was_refused_is_unknown_and_says_why(host):
    report = json.loads(host.file("/etc/ansible/facts.d/inspector.fact").content_string)
    found = {entry["name"]: entry for entry in report["findings"]}
    for name in ("account_enabled", "coverage", "inventory_association", "account_path"):
        assert found[name]["state"] == "unknown"
        assert "UnsupportedOperation" in found[name]["detail"]
    assert found["ssm_agent"]["state"] == "ok"
