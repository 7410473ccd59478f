"""Other values, as while an image is baked: the agent is ready to start with the next boot, and does not run."""

from __future__ import annotations

import json

AGENT = "/opt/aws/amazon-cloudwatch-agent"
DROP_IN = f"{AGENT}/etc/amazon-cloudwatch-agent.d/fleet.json"


def test_the_agent_is_stopped_and_starts_with_the_next_boot(host):
    agent = host.service("amazon-cloudwatch-agent")
    assert agent.is_enabled and not agent.is_running


def test_the_configuration_is_one_that_the_agent_takes(host):
    host.check_output(f"{AGENT}/bin/config-translator --input {DROP_IN} --output /tmp/out.toml --mode ec2")


def test_only_what_was_asked_for_is_collected(host):
    document = json.loads(host.file(DROP_IN).content_string)
    assert set(document) == {"agent", "logs"}
    (collected,) = document["logs"]["logs_collected"]["files"]["collect_list"]
    assert (collected["log_group_name"], collected["retention_in_days"]) == ("/shop/everything", 7)


def test_nothing_but_configurations_is_in_the_agents_folder(host):
    assert host.file(f"{AGENT}/etc/amazon-cloudwatch-agent.d").listdir() == ["fleet.json"]
