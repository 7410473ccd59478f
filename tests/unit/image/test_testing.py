"""The test of an image: whatever happens on its host, the host is terminated."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws.errors import UserError
from ansible_collections.ecommerce.fleet.plugins.module_utils._image import test_host, testing
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.checks import failed
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.scripts import NAMES
from botocore.exceptions import ClientError

KEY = "arn:aws:kms:us-east-1:000000000000:key/east"
OPTIONS = {
    "image_id": "ami-1",
    "kms_key": "alias/fleet",
    "vpc_name": "fleet",
    "subnet_filters": {"tag:Tier": "app"},
    "security_group": "web",
    "instance_profile": "web",
    "instance_type": "t3.medium",
    "host_tags": {"Team": "shop"},
    "wait_seconds": 10,
    "read_seconds": 20,
    "lifetime_seconds": 1800,
    "expected_version": "1.2.0",
    "image_version": "1.2.0",
    "application_directory": "/opt/app",
    "version_path": "/about",
    "login_user": "",
    "audit_program": "",
    "scripts": dict.fromkeys(NAMES, "#!/bin/sh\n"),
}


class Aws:
    """As much of EC2, Systems Manager and KMS as the test needs; the host appears a moment after its launch."""

    def __init__(self, encrypted: bool = True) -> None:
        self.encrypted = encrypted
        self.states: dict[str, str] = {}
        self.launched: dict[str, Any] = {}

    def describe_key(self, **_: Any) -> dict[str, Any]:
        return {"KeyMetadata": {"Arn": KEY}}

    def describe_images(self, **_: Any) -> dict[str, Any]:
        disks = [{"Ebs": {"SnapshotId": "snap-1"}}]
        image = {"ImageId": "ami-1", "Name": "web-1", "State": "available", "ImdsSupport": "v2.0"}
        return {"Images": [{**image, "BlockDeviceMappings": disks}]}

    def describe_snapshots(self, **_: Any) -> dict[str, Any]:
        return {"Snapshots": [{"Encrypted": self.encrypted, "KmsKeyId": KEY}]}

    def describe_vpcs(self, **_: Any) -> dict[str, Any]:
        return {"Vpcs": [{"VpcId": "vpc-1"}]}

    def describe_subnets(self, **_: Any) -> dict[str, Any]:
        return {"Subnets": [{"SubnetId": "subnet-1", "AvailableIpAddressCount": 5}]}

    def describe_security_groups(self, **_: Any) -> dict[str, Any]:
        return {"SecurityGroups": [{"GroupId": "sg-1"}]}

    def describe_volumes(self, **_: Any) -> dict[str, Any]:
        return {"Volumes": [{"Encrypted": True, "KmsKeyId": KEY}]}

    def run_instances(self, **asked: Any) -> dict[str, Any]:
        self.launched, self.states["i-1"] = asked, "running"
        return {"Instances": [{"InstanceId": "i-1"}]}

    def describe_instances(self, **_: Any) -> dict[str, Any]:
        return {
            "Reservations": [{"Instances": [{"InstanceId": i, "State": {"Name": s}} for i, s in self.states.items()]}]
        }

    def terminate_instances(self, InstanceIds: list[str]) -> None:  # noqa: N803 - boto3's name
        self.states |= dict.fromkeys(InstanceIds, "terminated")

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Reservations": []}]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that the host was asked to run; each prints nothing."""
    ran: list[str] = []

    def run_script(_ssm: Any, _instance_id: str, _what: str, script: str, _seconds: int) -> str:
        ran.append(script)
        return ""

    monkeypatch.setattr(testing, "wait_online", lambda *_: {})
    monkeypatch.setattr(testing, "run_script", run_script)
    return ran


def test_the_probe_asks_the_applications_own_path_for_the_version(scripts: list[str]) -> None:
    aws = Aws()
    test = testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS)
    test.run(check_mode=False)
    assert "VERSION_PATH=/about" in scripts[0]
    assert "version is the release's: no answer" in failed(test.checks)
    assert (test.booted, aws.states) == (True, {"i-1": "terminated"})


def test_what_reads_the_volume_has_the_time_that_a_volume_from_a_snapshot_needs(
    monkeypatch: pytest.MonkeyPatch, scripts: list[str]
) -> None:
    seconds: list[int] = []

    def run_script(_ssm: Any, _instance_id: str, _what: str, _script: str, deadline: int) -> str:
        seconds.append(deadline)
        return ""

    monkeypatch.setattr(testing, "run_script", run_script)
    aws = Aws()
    testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS).run(check_mode=False)
    assert seconds == [20]


class Pushing(Aws):
    """It takes a key for the host."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed: dict[str, str] = {}

    def send_ssh_public_key(self, **asked: str) -> dict[str, Any]:
        self.pushed = asked
        return {"Success": True}


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("login=ok\n", ""),
        ("", "SSH by EC2 Instance Connect: no answer (sshd's AuthorizedKeysCommand: none)"),
        (
            "login_error=Permission denied (publickey).\nlogin_command=none\n",
            "SSH by EC2 Instance Connect: Permission denied (publickey). (sshd's AuthorizedKeysCommand: none)",
        ),
    ],
)
def test_the_key_that_the_host_made_is_pushed_and_must_log_in(
    monkeypatch: pytest.MonkeyPatch, scripts: list[str], answer: str, failure: str
) -> None:
    aws, order = Pushing(), list[str]()

    def run_script(_ssm: Any, _instance_id: str, what: str, script: str, _seconds: int) -> str:
        order.append(what)
        assert what != "a login by EC2 Instance Connect" or (aws.pushed and "LOGIN_USER=ec2-user" in script)
        return {"the making of a key": "ssh-ed25519 AAAA\n", "a login by EC2 Instance Connect": answer}.get(what, "")

    monkeypatch.setattr(testing, "run_script", run_script)
    test = testing.ImageTest(lambda _service: aws, "us-east-1", {**OPTIONS, "login_user": "ec2-user"})
    test.run(check_mode=False)
    assert aws.pushed == {"InstanceId": "i-1", "InstanceOSUser": "ec2-user", "SSHPublicKey": "ssh-ed25519 AAAA"}
    assert order == ["the probe", "the making of a key", "a login by EC2 Instance Connect"]
    assert ([failure] if failure else []) == [failed([c]) for c in test.checks if "Connect" in c.name and not c.ok]
    assert aws.states == {"i-1": "terminated"}


def test_a_host_for_which_no_key_can_be_pushed_is_terminated(
    monkeypatch: pytest.MonkeyPatch, scripts: list[str]
) -> None:
    aws = Pushing()

    def denied(**_: str) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "SendSSHPublicKey")

    monkeypatch.setattr(aws, "send_ssh_public_key", denied)
    with pytest.raises(ClientError, match="AccessDenied"):
        testing.ImageTest(lambda _service: aws, "us-east-1", {**OPTIONS, "login_user": "ec2-user"}).run(False)
    assert aws.states == {"i-1": "terminated"}


@pytest.mark.parametrize(("lifetime", "refused"), [(59, True), (60, False), (3600, False)])
def test_a_host_that_would_end_before_its_test_is_refused(lifetime: int, refused: bool) -> None:
    said = testing.lifetime_violation({**OPTIONS, "lifetime_seconds": lifetime})
    assert (said is not None) == refused
    assert (
        said is None or "lifetime_seconds is 59; with wait_seconds 10 and read_seconds 20 it must be 60 or more" in said
    )


def test_the_host_ends_itself_and_belongs_to_the_test(scripts: list[str]) -> None:
    aws = Aws()
    testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS).run(check_mode=False)
    assert "LIFETIME_SECONDS=1800" in aws.launched["UserData"]
    tags = {tag["Key"]: tag["Value"] for tag in aws.launched["TagSpecifications"][0]["Tags"]}
    assert tags == {"Team": "shop", "Role": "image-test", "TestedImage": "ami-1", "Name": "test ami-1"}


def test_a_host_that_could_not_be_asked_is_terminated(monkeypatch: pytest.MonkeyPatch, scripts: list[str]) -> None:
    def broken(*_: Any) -> str:
        raise UserError("no agent")

    monkeypatch.setattr(testing, "wait_online", broken)
    aws = Aws()
    test = testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS)
    with pytest.raises(UserError, match="no agent"):
        test.run(check_mode=False)
    assert aws.states == {"i-1": "terminated"}
    assert test.result()["changed"] is True


@pytest.mark.parametrize(("encrypted", "check_mode"), [(False, False), (True, True)])
def test_no_host_is_booted_for_a_bad_description_or_in_check_mode(encrypted: bool, check_mode: bool) -> None:
    aws = Aws(encrypted)
    test = testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS)
    test.run(check_mode)
    assert (test.booted, aws.states, bool(failed(test.checks))) == (False, {}, not encrypted)


class New(Aws):
    """A host that EC2 does not know right after its launch, and that ends for a reason."""

    def __init__(self, unknown: int = 2, end: str = "running") -> None:
        super().__init__()
        self.unknown, self.end = unknown, end

    def _known(self) -> None:
        self.unknown -= 1
        if self.unknown >= 0:
            raise ClientError({"Error": {"Code": "InvalidInstanceID.NotFound", "Message": "no such host"}}, "Any")

    def describe_instances(self, **asked: Any) -> dict[str, Any]:
        self._known()
        found = super().describe_instances(**asked)
        host = found["Reservations"][0]["Instances"][0]
        if host["State"]["Name"] == "running":
            host["State"] = {"Name": self.end}
            if self.end != "running":
                host["StateReason"] = {"Code": "Client.InvalidKMSKey.InvalidState", "Message": "the key is disabled"}
        return found

    def terminate_instances(self, InstanceIds: list[str]) -> None:  # noqa: N803 - boto3's name
        self._known()
        super().terminate_instances(InstanceIds)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


@pytest.mark.usefixtures("no_pauses", "scripts")
def test_a_host_that_ends_instead_of_starting_is_an_error_with_ec2s_reason() -> None:
    aws = New(end="terminated")
    with pytest.raises(UserError) as caught:
        testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS).run(check_mode=False)
    assert str(caught.value) == (
        "i-1 did not start: it is terminated (Client.InvalidKMSKey.InvalidState: the key is disabled)"
    )


@pytest.mark.usefixtures("no_pauses")
def test_a_host_that_ec2_does_not_know_yet_is_terminated_all_the_same(
    monkeypatch: pytest.MonkeyPatch, scripts: list[str]
) -> None:
    aws = New(unknown=0)

    def interrupted(*_: Any) -> None:
        aws.unknown = 3
        raise KeyboardInterrupt

    monkeypatch.setattr(test_host, "wait_running", interrupted)
    with pytest.raises(KeyboardInterrupt):
        testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS).run(check_mode=False)
    assert aws.states == {"i-1": "terminated"}


@pytest.mark.usefixtures("no_pauses", "scripts")
def test_volumes_that_ec2_does_not_show_yet_are_waited_for() -> None:
    class Slow(Aws):
        asked = 0

        def describe_volumes(self, **asked: Any) -> dict[str, Any]:
            self.asked += 1
            return {"Volumes": []} if self.asked < 3 else super().describe_volumes(**asked)

    aws = Slow()
    test = testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS)
    test.run(check_mode=False)
    assert aws.asked == 3


def test_a_host_that_can_not_be_terminated_is_named_beside_what_failed_on_it(
    monkeypatch: pytest.MonkeyPatch, scripts: list[str]
) -> None:
    def fails(*_words: Any) -> str:
        raise UserError("the probe ended with 7")

    def refused(**_asked: Any) -> None:
        raise RuntimeError("UnauthorizedOperation")

    aws = Aws()
    monkeypatch.setattr(testing, "run_script", fails)
    monkeypatch.setattr(aws, "terminate_instances", refused)
    with pytest.raises(
        UserError, match=r"^the probe ended with 7\. .*the test host i-1 in us-east-1 was not terminated: Unauth"
    ):
        testing.ImageTest(lambda _service: aws, "us-east-1", OPTIONS).run(check_mode=False)
