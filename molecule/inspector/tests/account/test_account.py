"""What the account says is part of the report."""

from __future__ import annotations

import json


def test_the_report_says_that_the_account_does_not_scan(host):
    report = json.loads(host.file("/etc/ansible/facts.d/inspector.fact").content_string)
    states = {entry["name"]: entry["state"] for entry in report["findings"]}
    assert report["ready"] is False
    assert (states["account_enabled"], states["ssm_agent"]) == ("missing", "ok")
