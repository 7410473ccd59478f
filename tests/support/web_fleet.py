"""A small fleet for tests: instances that serve HTTP, a target group, a load balancer, a group."""

from __future__ import annotations

import base64
from typing import Any

from lab.network.hosts_file import address_of
from tests.support.ec2 import base_image, subnets
from tests.support.running_lab import RunningLab

WEB = """#!/bin/sh
cat > /root/web.py <<'END'
import http.server, os, socket, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(3)
        sick = self.path == "/health" and os.path.exists("/sick")
        body = socket.gethostname().encode()
        self.send_response(503 if sick else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *ignored):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("", 80), Handler).serve_forever()
END
cat > /etc/systemd/system/web.service <<'END'
[Service]
ExecStart=/usr/bin/python3 /root/web.py
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable web
systemctl start --no-block web
"""
DELAY = 4
"""Seconds that the tests' target groups drain."""


def user_data() -> str:
    return base64.b64encode(WEB.encode()).decode()


def target_group(lab: RunningLab, name: str, **arguments: Any) -> str:
    elbv2, ec2 = lab.client("elbv2"), lab.client("ec2")
    vpc = ec2.describe_subnets(SubnetIds=list(subnets(ec2).values()))["Subnets"][0]["VpcId"]
    health = {"HealthCheckPath": "/health", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 3}
    counts = {"HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2}
    asked = {"Protocol": "HTTP", "Port": 80, "VpcId": vpc, **health, **counts, **arguments}
    arn: str = elbv2.create_target_group(Name=name, **asked)["TargetGroups"][0]["TargetGroupArn"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(DELAY)}
    elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    return arn


def load_balancer(lab: RunningLab, name: str, group: str) -> str:
    """The ARN of a load balancer that forwards port 80 to the group."""
    elbv2, ec2 = lab.client("elbv2"), lab.client("ec2")
    made = elbv2.create_load_balancer(Name=name, Subnets=list(subnets(ec2, "public").values()))["LoadBalancers"][0]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elbv2.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=forward)
    return str(made["LoadBalancerArn"])


def address(lab: RunningLab, arn: str) -> str | None:
    """Where a load balancer's DNS name leads, once it is active."""
    found = lab.client("elbv2").describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
    return address_of(lab.settings.hosts_file, found["DNSName"]) if found["State"]["Code"] == "active" else None


def health(lab: RunningLab, group: str) -> dict[str, tuple[str, str]]:
    """Target id → (state, reason)."""
    found = lab.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {t["Target"]["Id"]: (t["TargetHealth"]["State"], t["TargetHealth"].get("Reason", "")) for t in found}


def launch_template(lab: RunningLab, name: str, **data: Any) -> str:
    ec2 = lab.client("ec2")
    asked = {"ImageId": base_image(ec2), "InstanceType": "t3.medium", "KeyName": "lab", "UserData": user_data(), **data}
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=asked)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def auto_scaling_group(lab: RunningLab, name: str, template: str, **arguments: Any) -> None:
    zones = ",".join(subnets(lab.client("ec2")).values())
    sizes = {"MinSize": 1, "MaxSize": 4, "DesiredCapacity": 3, "VPCZoneIdentifier": zones}
    launched = {"LaunchTemplate": {"LaunchTemplateId": template, "Version": "$Latest"}}
    lab.client("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, **{**sizes, **launched, **arguments})


def members(lab: RunningLab, name: str) -> dict[str, dict[str, Any]]:
    """Instance id → what DescribeAutoScalingGroups says of it."""
    found = lab.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return {i["InstanceId"]: i for i in found[0]["Instances"]} if found else {}


def in_service(lab: RunningLab, name: str, count: int) -> dict[str, dict[str, Any]] | None:
    """The group's instances when exactly `count` are there and all are in service."""
    found = members(lab, name)
    good = len(found) == count and all(i["LifecycleState"] == "InService" for i in found.values())
    return found if good else None


def activities(lab: RunningLab, name: str) -> list[str]:
    """`status: description | cause` of each scaling activity, the newest first."""
    found = lab.client("autoscaling").describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    return [f"{a['StatusCode']}: {a['Description']} | {a['Cause']}" for a in found]
