"""An AWS account of records, by moto alone: for what playbooks do before they reach a machine. The lab has machines, and takes minutes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import yaml

from tests.support.ports import free_port
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
REGION, DR_REGION = "us-east-1", "us-west-2"
ACCOUNT = "123456789012"
NAME = "shop-test-al2023"
PREFIX = "/fleet/shop/test"
VARIABLES = {
    "fleet_environment": "test",
    "fleet_application": "shop",
    "fleet_account_id": ACCOUNT,
    "fleet_min_size": 2,
    "fleet_desired_size": 3,
    "fleet_connection": "ssh",
}
TAGS = {"Environment": "test", "Application": "shop", "OS": "al2023"}
SOURCE = {
    "plugin": "amazon.aws.aws_ec2",
    "regions": [REGION],
    "filters": {"tag:Environment": "test", "tag:Application": "shop", "instance-state-name": "running"},
    "hostnames": ["instance-id"],
    "strict": False,
    "groups": {"web": "tags.Role | default('') == 'web'"},
    "compose": {"ansible_host": "private_ip_address"},
}


class Account:
    """The account, and an inventory of it in a folder."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        # A process of its own: moto keeps the records of all servers of a process together.
        argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.endpoint = f"http://127.0.0.1:{port}"
        wait_for("moto's server", lambda: self._answers(port), timeout=120)
        self.inventory = folder / "inventory"
        variables = self.inventory / "group_vars/all"
        variables.mkdir(parents=True)
        (self.inventory / "aws_ec2.yml").write_text(yaml.safe_dump(SOURCE))
        (variables / "00-shared.yml").symlink_to(ROOT / "inventory/shared.yml")
        (variables / "10-test.yml").write_text(yaml.safe_dump(VARIABLES))

    @staticmethod
    def _answers(port: int) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait(timeout=30)

    def client(self, service: str, region: str = REGION) -> Any:
        make: Any = boto3.client
        keys = {"aws_access_key_id": "AKIAMOTO", "aws_secret_access_key": "of-nobody"}
        return make(service, region_name=region, endpoint_url=self.endpoint, **keys)

    def play(
        self, playbook: str, *arguments: str, environment: dict[str, str] | None = None, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        """A playbook of the collection with these extra variables, whatever its exit code."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "AWS_", "LAB_"))}
        aws = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAMOTO",
            "AWS_SECRET_ACCESS_KEY": "of-nobody",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        ansible = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1", "COLUMNS": "1000"}
        return subprocess.run(
            [ANSIBLE_PLAYBOOK, "-i", str(self.inventory), *self._words(playbook, variables), *arguments],
            cwd=ROOT, env={**kept, **aws, **ansible, **(environment or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip

    @staticmethod
    def _words(playbook: str, variables: dict[str, Any]) -> list[str]:
        return [f"playbooks/{playbook}.yml", *(["-e", json.dumps(variables)] if variables else [])]

    def set_up(self) -> None:
        """The network that the shared inventory describes, a release and an image, as they are before a fleet is launched."""
        ec2, ssm = self.client("ec2"), self.client("ssm")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "fleet"}])
        for number, (tier, zone) in enumerate((tier, zone) for tier in ("app", "public") for zone in "abc"):
            tags = [{"ResourceType": "subnet", "Tags": [{"Key": "Tier", "Value": tier}]}]
            network = f"10.0.{number}.0/24"
            ec2.create_subnet(VpcId=vpc, CidrBlock=network, AvailabilityZone=f"{REGION}{zone}", TagSpecifications=tags)
        for group in ("web", "alb"):
            ec2.create_security_group(GroupName=group, Description=group, VpcId=vpc)
        self.client("iam").create_instance_profile(InstanceProfileName="fleet-web")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        release = {
            "version": "1.0.0",
            "kind": "nodejs",
            "url": "s3://shop-artifacts/releases/1.0.0/shop.tar.gz",
            "sha256": "0" * 64,
        }
        parameters = {f"{PREFIX}/al2023/ami": image, f"{PREFIX}/release": json.dumps(release)}
        for name, value in {
            **parameters,
            f"{PREFIX}/releases/1.1.0": json.dumps({**release, "version": "1.1.0"}),
        }.items():
            ssm.put_parameter(Name=name, Value=value, Type="String")
        self.client("s3").create_bucket(Bucket=f"fleet-artifacts-{ACCOUNT}")

    def launch(self) -> None:
        """The fleet: three hosts behind a target group."""
        ec2, elbv2, autoscaling = self.client("ec2"), self.client("elbv2"), self.client("autoscaling")
        subnets = ec2.describe_subnets(Filters=[{"Name": "tag:Tier", "Values": ["app"]}])["Subnets"]
        group = elbv2.create_target_group(Name=NAME, Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"])[
            "TargetGroups"
        ][0]
        image = self.client("ssm").get_parameter(Name=f"{PREFIX}/al2023/ami")["Parameter"]["Value"]
        ec2.create_launch_template(
            LaunchTemplateName=NAME, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
        )
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=NAME, MinSize=2, MaxSize=6, DesiredCapacity=3,
            LaunchTemplate={"LaunchTemplateName": NAME}, TargetGroupARNs=[group["TargetGroupArn"]],
            VPCZoneIdentifier=",".join(subnet["SubnetId"] for subnet in subnets),
        )  # fmt: skip
        described = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]
        ids = [instance["InstanceId"] for instance in described["Instances"]]
        ec2.create_tags(
            Resources=ids, Tags=[{"Key": key, "Value": value} for key, value in {**TAGS, "Role": "web"}.items()]
        )

    def host(self, role: str) -> str:
        """A host of the application that is in no group, with this tag Role."""
        ec2 = self.client("ec2")
        image = self.client("ssm").get_parameter(Name=f"{PREFIX}/al2023/ami")["Parameter"]["Value"]
        tags = [{"Key": key, "Value": value} for key, value in {**TAGS, "Role": role}.items()]
        run = ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}]
        )
        return str(run["Instances"][0]["InstanceId"])

    def records(self) -> dict[str, Any]:
        """All that a playbook of the collection could have written."""
        ec2, elbv2, ssm = self.client("ec2"), self.client("elbv2"), self.client("ssm")
        groups = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        templates = ec2.describe_launch_templates()["LaunchTemplates"]
        objects = self.client("s3").list_objects_v2(Bucket=f"fleet-artifacts-{ACCOUNT}").get("Contents", [])
        return {
            "groups": groups,
            "templates": [(item["LaunchTemplateName"], item["LatestVersionNumber"]) for item in templates],
            "target groups": [item["TargetGroupName"] for item in elbv2.describe_target_groups()["TargetGroups"]],
            "load balancers": [item["LoadBalancerName"] for item in elbv2.describe_load_balancers()["LoadBalancers"]],
            "parameters": [(item["Name"], item["Version"]) for item in ssm.describe_parameters()["Parameters"]],
            "documents": [
                item["Name"]
                for item in ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]
            ],
            "objects": [item["Key"] for item in objects],
        }


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a run has printed, in one line and without YAML's doubled quotes."""
    return " ".join((done.stdout + done.stderr).split()).replace("''", "'")
