"""Behaviour of the role on a host: Classic is gone, and the report says what is there and what can't be known."""

from __future__ import annotations

import json

FACT = "/etc/ansible/facts.d/inspector.fact"


def report(host):
    return json.loads(host.file(FACT).content_string)


def states(host):
    return {entry["name"]: entry["state"] for entry in report(host)["findings"]}


def test_inspector_classic_is_gone(host):
    assert not host.package("AwsAgent").is_installed
    assert not host.file("/opt/aws/awsagent").exists
    assert not host.file("/etc/systemd/system/awsagent.service").exists
    assert not host.service("awsagent").is_running


def test_the_host_is_ready(host):
    assert report(host)["ready"] is True


def test_what_is_there_is_ok(host):
    seen = states(host)
    assert [seen[name] for name in ("classic_agent", "ssm_agent", "deep_inspection_path")] == ["ok", "ok", "ok"]


def test_what_a_host_cannot_prove_is_unknown(host):
    seen = states(host)
    assert [seen[name] for name in ("ssm_plugin", "inventory")] == ["unknown", "unknown"]


def test_ansible_can_read_the_report_as_a_local_fact(host):
    # An executable fact would be run instead of read.
    assert host.file(FACT).mode == 0o644
