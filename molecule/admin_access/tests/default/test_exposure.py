"""Static credentials and instance metadata, as the module sees them on a real host."""

from __future__ import annotations

import os

import boto3
import pytest
from people import look

KEY = "AKIA" + "Z7QW3RT5YU2IOP4A"


@pytest.fixture
def leaked(host):
    host.check_output(
        f"mkdir -p /root/.aws && printf '[default]\\naws_access_key_id = {KEY}\\n' >/root/.aws/credentials"
    )
    yield
    host.check_output("rm -r /root/.aws")


def test_an_aws_key_is_shown_by_path_and_line_and_not_by_value(host, leaked):
    answer = look(host).stdout
    assert "path: /root/.aws/credentials" in answer
    assert "line: 2" in answer
    assert KEY not in answer


def test_an_aws_key_fails_the_run_where_that_is_desired(host, leaked):
    answer = look(host, static_credentials="fail")
    assert answer.returncode != 0
    assert "/root/.aws/credentials line 2 (access key id)" in " ".join(answer.stdout.split())


def test_the_instance_keeps_its_metadata_to_itself(host):
    answer = look(host, imds="fail")
    assert answer.returncode == 0, answer.stdout
    assert "tokens_required: true" in answer.stdout
    assert "hop_limit: 1" in answer.stdout


def test_open_metadata_is_seen(host):
    ec2 = boto3.client("ec2", region_name=os.environ["AWS_REGION"])
    desired = [{"Name": "private-ip-address", "Values": [host.backend.get_variables()["ansible_host"]]}]
    found = ec2.describe_instances(Filters=[*desired, {"Name": "instance-state-name", "Values": ["running"]}])
    instance = found["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="optional", HttpPutResponseHopLimit=2)
    try:
        answer = look(host, imds="fail")
        assert answer.returncode != 0
        assert "without a session token (IMDSv1)" in " ".join(answer.stdout.split())
        assert "travels 2 hops" in " ".join(answer.stdout.split())
    finally:
        ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="required", HttpPutResponseHopLimit=1)
