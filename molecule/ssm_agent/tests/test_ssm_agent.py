"""Behaviour of the role on a host: Systems Manager sees it and can run a command on it."""

from __future__ import annotations

import json
import os
import time

import boto3


def client():
    return boto3.client("ssm", region_name=os.environ["AWS_REGION"])


def identity(host):
    # A line about the agent's settings comes before it.
    return json.loads(host.check_output("ssm-cli get-instance-information").splitlines()[-1])


def test_the_agent_runs_and_will_after_a_reboot(host):
    agent = host.service("amazon-ssm-agent")
    assert agent.is_running and agent.is_enabled


def test_its_command_line_says_that_it_has_settings_of_its_own(host):
    assert host.check_output("ssm-cli get-diagnostics").startswith("Applying config override from ")


def test_the_agent_knows_where_it_is(host):
    assert identity(host)["region"] == os.environ["AWS_REGION"]


def test_systems_manager_sees_the_host_online(host):
    wanted = [{"Key": "InstanceIds", "Values": [identity(host)["instance-id"]]}]
    seen = client().describe_instance_information(Filters=wanted)["InstanceInformationList"]
    assert [entry["PingStatus"] for entry in seen] == ["Online"]


def test_a_command_runs_on_the_host_without_ssh(host):
    instance = identity(host)["instance-id"]
    ssm = client()
    command = ssm.send_command(
        InstanceIds=[instance], DocumentName="AWS-RunShellScript", Parameters={"commands": ["hostname"]}
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            answer = ssm.get_command_invocation(CommandId=command["Command"]["CommandId"], InstanceId=instance)
        except ssm.exceptions.InvocationDoesNotExist:
            continue
        if answer["Status"] not in {"Pending", "InProgress", "Delayed"}:
            break
    assert answer["Status"] == "Success"
    assert answer["StandardOutputContent"].strip() == host.check_output("hostname")
