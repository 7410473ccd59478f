"""Behaviour of the role on a host: the agent lives, ships what it was told to, and refuses what is wrong."""

from __future__ import annotations

import datetime
import json
import os
import time
import uuid

import boto3

AGENT = "/opt/aws/amazon-cloudwatch-agent"
DROP_IN = f"{AGENT}/etc/amazon-cloudwatch-agent.d/fleet.json"


def instance_id(host):
    session = "$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)"
    return host.check_output(
        f'curl -s -H "X-aws-ec2-metadata-token: {session}" http://169.254.169.254/latest/meta-data/instance-id'
    )


def shipped(group, stream, text, seconds=20):
    """The event that contains a text, once CloudWatch Logs has it."""
    logs = boto3.client("logs", region_name=os.environ["AWS_REGION"])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        except logs.exceptions.ResourceNotFoundException:
            events = []
        for event in events:
            if text in event["message"]:
                return event
        time.sleep(0.5)
    raise AssertionError(f"{text!r} did not arrive in {group} {stream} within {seconds} s")


def measured(namespace, name, dimensions, seconds=20):
    """The sum of a metric, once CloudWatch has it."""
    cloudwatch = boto3.client("cloudwatch", region_name=os.environ["AWS_REGION"])
    now = datetime.datetime.now(datetime.UTC)
    asked = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "StartTime": now - datetime.timedelta(minutes=10),
        "EndTime": now + datetime.timedelta(minutes=10),
        "Period": 3600,
        "Statistics": ["Sum"],
    }
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        points = cloudwatch.get_metric_statistics(**asked)["Datapoints"]
        if points:
            return sum(point["Sum"] for point in points)
        time.sleep(0.5)
    raise AssertionError(f"{namespace} {name} {dimensions} did not arrive within {seconds} s")


def send(host, protocol, port, text):
    """From the host itself, in one piece: a shell would make two datagrams of two lines."""
    kind = {"udp": "SOCK_DGRAM", "tcp": "SOCK_STREAM"}[protocol]
    program = (
        f"import socket; s = socket.socket(socket.AF_INET, socket.{kind}); s.connect(('127.0.0.1', {port})); "
        f"s.sendall({text!r}.encode())"
    )
    host.check_output("python3 -c %s", program)


def test_the_agent_runs_and_will_after_a_reboot(host):
    agent = host.service("amazon-cloudwatch-agent")
    assert agent.is_running and agent.is_enabled


def test_the_agent_has_logged_no_error(host):
    assert " E! " not in host.file(f"{AGENT}/logs/amazon-cloudwatch-agent.log").content_string


def test_the_agent_says_that_it_is_configured(host):
    status = json.loads(host.check_output(f"{AGENT}/bin/amazon-cloudwatch-agent-ctl -a status"))
    assert (status["status"], status["configstatus"]) == ("running", "configured")


def test_a_line_from_before_the_agent_arrives(host):
    shipped("/aws/ec2/application", f"{instance_id(host)}/var/log/shop/shop.log", "logged before the agent came")


def test_a_new_line_arrives_and_one_in_a_rotated_file_too(host):
    stream = f"{instance_id(host)}/var/log/shop/shop.log"
    first, second = uuid.uuid4().hex, uuid.uuid4().hex
    host.check_output(f"echo {first} >> /var/log/shop/shop.log")
    host.check_output("mv /var/log/shop/shop.log /var/log/shop/shop.log.1")
    host.check_output(f"echo {second} > /var/log/shop/shop.log")
    shipped("/aws/ec2/application", stream, first)
    shipped("/aws/ec2/application", stream, second)


def test_the_time_of_an_audit_line_is_the_one_that_it_names(host):
    text = uuid.uuid4().hex
    stamp = host.check_output("date -u -d '-1 hour' +%Y-%m-%dT%H:%M:%S")
    host.check_output(f"echo {stamp} {text} >> /var/log/shop/audit.log")
    event = shipped("/aws/ec2/audit", f"{instance_id(host)}/var/log/shop/audit.log", text)
    assert event["timestamp"] == int(host.check_output(f"date -u -d {stamp} +%s")) * 1000


def test_every_receiver_listens_and_only_on_loopback(host):
    # A socket's line in /proc/net: the local address is the second word, in hexadecimal, and 0A is the state of a listener.
    tcp = [line.split() for line in host.file("/proc/net/tcp").content_string.splitlines()[1:]]
    udp = [line.split() for line in host.file("/proc/net/udp").content_string.splitlines()[1:]]
    listening = {("tcp", word[1]) for word in tcp if word[3] == "0A"} | {("udp", word[1]) for word in udp}
    wanted = [("udp", 8125), ("tcp", 25888), ("udp", 2000), ("tcp", 2000), ("tcp", 4317), ("tcp", 4318)]
    for protocol, port in wanted:
        found = {address for kind, address in listening if kind == protocol and address.endswith(f":{port:04X}")}
        assert found == {f"0100007F:{port:04X}"}, (protocol, port)


def test_a_statsd_counter_arrives_as_a_metric(host):
    name = f"orders.{uuid.uuid4().hex}"
    send(host, "udp", 8125, f"{name}:2|c")
    assert measured("CWAgent", name, {"InstanceId": instance_id(host), "metric_type": "counter"}) == 2


def test_a_line_in_the_embedded_metric_format_arrives_as_a_metric(host):
    page = uuid.uuid4().hex
    directive = {
        "Namespace": "Shop",
        "Dimensions": [["Page"]],
        "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}],
    }
    described = {
        "Timestamp": int(time.time() * 1000),
        "LogGroupName": "/shop/metrics",
        "CloudWatchMetrics": [directive],
    }
    send(host, "tcp", 25888, json.dumps({"_aws": described, "Page": page, "Latency": 41}) + "\n")
    assert measured("Shop", "Latency", {"Page": page}) == 41


def test_a_segment_arrives_in_x_ray(host):
    now = int(time.time())
    trace = f"1-{now:08x}-{uuid.uuid4().hex[:24]}"
    segment = {"trace_id": trace, "id": uuid.uuid4().hex[:16], "name": "shop", "start_time": now, "end_time": now + 1}
    send(host, "udp", 2000, json.dumps({"format": "json", "version": 1}) + "\n" + json.dumps(segment))
    xray = boto3.client("xray", region_name=os.environ["AWS_REGION"])
    deadline, seen = time.monotonic() + 20, []
    while trace not in seen and time.monotonic() < deadline:
        time.sleep(0.5)
        found = xray.get_trace_summaries(StartTime=now - 3600, EndTime=now + 3600)
        seen = [summary["Id"] for summary in found["TraceSummaries"]]
    assert trace in seen


def test_log_groups_keep_what_they_must(host):
    logs = boto3.client("logs", region_name=os.environ["AWS_REGION"])
    groups = {
        g["logGroupName"]: g.get("retentionInDays")
        for g in logs.describe_log_groups(logGroupNamePrefix="/aws/ec2/")["logGroups"]
    }
    assert groups["/aws/ec2/application"] == 30
    assert groups["/aws/ec2/audit"] == 2557


def test_the_agents_own_checker_refuses_what_the_role_would_not_write(host):
    document = json.loads(host.file(DROP_IN).content_string)
    document["logs"]["logs_collected"]["files"]["collect_list"][0]["retention_in_days"] = 31
    host.check_output(f"mkdir -p /tmp/wrong && echo '{json.dumps(document)}' > /tmp/wrong/wrong.json")
    refused = host.run(
        f"{AGENT}/bin/config-translator --input /tmp/wrong/wrong.json --output /tmp/wrong/out.toml --mode ec2"
    )
    assert refused.rc == 1 and "retention_in_days" in refused.stderr


def test_the_check_leaves_nothing_behind(host):
    assert (
        host.check_output(
            "find /root/.ansible /home/*/.ansible /tmp -name 'amazon-cloudwatch-agent.yaml' 2>/dev/null || true"
        )
        == ""
    )


def test_it_dies_loudly_without_a_valid_configuration_and_the_host_can_tell(host):
    host.check_output(f'cp {DROP_IN} /root/fleet.json && echo \'{{"logs": {{"nonsense": 1}}}}\' > {DROP_IN}')
    try:
        host.run("systemctl restart amazon-cloudwatch-agent")
        time.sleep(2)
        assert not host.service("amazon-cloudwatch-agent").is_running
        assert "nonsense" in host.file(f"{AGENT}/logs/amazon-cloudwatch-agent.log").content_string
    finally:
        host.check_output(f"mv /root/fleet.json {DROP_IN} && systemctl restart amazon-cloudwatch-agent")
