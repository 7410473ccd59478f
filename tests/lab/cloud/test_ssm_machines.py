"""Run Command on real machines: what scripts print and end with, what errors stop, what a missing agent means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.module_utils._agents.evidence import registration_errors
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.task import COLLECTION
from botocore.exceptions import ClientError

from lab.cloud import account
from tests.support.running_lab import RunningLab
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab

SHELL = "AWS-RunShellScript"
AGENT_LIBRARY = Path("/usr/lib/amazon-ssm-agent")
RUNNING = ("Pending", "InProgress", "Cancelling")


@pytest.fixture(scope="module")
def hosts(lab: RunningLab, ec2: Any, ssm: Any) -> Iterator[list[str]]:
    """Two machines (one of each operating system where the lab has both) whose agents have registered."""
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:Tier", "Values": ["app"]}])["Subnets"][0]["SubnetId"]
    ids = []
    for os_name in (lab.settings.oses * 2)[:2]:
        started = ec2.run_instances(
            ImageId=account.base_image_id("us-east-1", os_name),
            MinCount=1,
            MaxCount=1,
            InstanceType="t3.micro",
            KeyName="lab",
            SubnetId=subnet,
            IamInstanceProfile={"Name": "fleet-web"},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Purpose", "Value": "ssm-test"}]}],
        )
        ids.append(started["Instances"][0]["InstanceId"])
    try:
        wait_for("registered agents", lambda: all(ping(ssm, i) == "Online" for i in ids), timeout=120, every=1)
        yield ids
    finally:
        ec2.terminate_instances(InstanceIds=ids)


def ping(ssm: Any, instance_id: str) -> str:
    found = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
    return "".join(i["PingStatus"] for i in found["InstanceInformationList"])


def send(ssm: Any, hosts: list[str], script: str = "", document: str = SHELL, **more: Any) -> str:
    """The command's id."""
    if script:
        more["Parameters"] = {"commands": [script], **more.get("Parameters", {})}
    if "Targets" not in more:
        more["InstanceIds"] = hosts
    return str(ssm.send_command(DocumentName=document, **more)["Command"]["CommandId"])


def ended(ssm: Any, command_id: str, timeout: float = 60) -> dict[str, dict[str, Any]]:
    """Instance id → its invocation, once all have ended."""

    def look() -> dict[str, dict[str, Any]] | None:
        found = ssm.list_command_invocations(CommandId=command_id, Details=True)["CommandInvocations"]
        done = found and all(i["Status"] not in RUNNING for i in found)
        return {i["InstanceId"]: i for i in found} if done else None

    result: dict[str, dict[str, Any]] = wait_for(f"end of command {command_id}", look, timeout=timeout, every=0.3)
    return result


def output(ssm: Any, host: str, script: str) -> str:
    command_id = send(ssm, [host], script)
    ended(ssm, command_id)
    return str(ssm.get_command_invocation(CommandId=command_id, InstanceId=host)["StandardOutputContent"])


def statuses(invocations: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {i: str(found["StatusDetails"]) for i, found in invocations.items()}


@pytest.fixture
def document(ssm: Any) -> Iterator[Any]:
    """Makes documents of given steps; they go at the end."""
    made = []

    def make(name: str, *steps: dict[str, Any], **more: Any) -> str:
        content = {"schemaVersion": "2.2", "mainSteps": list(steps), **more}
        ssm.create_document(Name=name, Content=json.dumps(content), DocumentType="Command")
        made.append(name)
        return name

    yield make
    for name in made:
        ssm.delete_document(Name=name)


def step(name: str, *lines: str, **inputs: Any) -> dict[str, Any]:
    return {"action": "aws:runShellScript", "name": name, "inputs": {"runCommand": list(lines), **inputs}}


def test_agents_register_with_what_they_run_on(lab: RunningLab, ssm: Any, hosts: list[str]) -> None:
    found = ssm.describe_instance_information(Filters=[{"Key": "tag:Purpose", "Values": ["ssm-test"]}])
    by_id = {i["InstanceId"]: i for i in found["InstanceInformationList"]}
    assert set(by_id) == set(hosts)
    versions = {"al2": "2", "al2023": "2023"}
    for host, os_name in zip(hosts, (lab.settings.oses * 2)[:2], strict=True):
        assert (by_id[host]["PlatformName"], by_id[host]["PlatformVersion"]) == ("Amazon Linux", versions[os_name])
        assert by_id[host]["IPAddress"].startswith("10.0.")


def test_a_command_runs_as_root_on_every_host_and_its_output_comes_back(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, hosts, "id -un; hostname; echo oops >&2", Comment="who")
    assert set(statuses(ended(ssm, command_id)).values()) == {"Success"}
    seen = [ssm.get_command_invocation(CommandId=command_id, InstanceId=host) for host in hosts]
    names = {s["StandardOutputContent"].splitlines()[1] for s in seen}
    assert len(names) == 2
    for invocation in seen:
        assert invocation["StandardOutputContent"].startswith("root\n")
        assert invocation["StandardErrorContent"] == "oops\n"
        assert (invocation["ResponseCode"], invocation["Comment"]) == (0, "who")


def test_an_exit_code_is_the_scripts_own(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, hosts[:1], "echo before; exit 7")
    assert statuses(ended(ssm, command_id)) == {hosts[0]: "Failed"}
    invocation = ssm.get_command_invocation(CommandId=command_id, InstanceId=hosts[0])
    assert invocation["ResponseCode"] == 7
    assert invocation["StandardOutputContent"] == "before\n"


def test_an_error_stops_the_hosts_that_have_not_begun(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, hosts, "touch /var/tmp/began; exit 1", MaxConcurrency="1", MaxErrors="0")
    assert statuses(ended(ssm, command_id)) == {hosts[0]: "Failed", hosts[1]: "Terminated"}
    (command,) = ssm.list_commands(CommandId=command_id)["Commands"]
    assert (command["StatusDetails"], command["ErrorCount"], command["CompletedCount"]) == ("Failed", 1, 2)
    assert output(ssm, hosts[1], "test -e /var/tmp/began || echo untouched") == "untouched\n"


def test_tolerated_errors_do_not_stop_the_others(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, hosts, "exit 1", MaxConcurrency="1", MaxErrors="50%")
    assert set(statuses(ended(ssm, command_id)).values()) == {"Failed"}


def test_a_script_that_takes_too_long_is_killed(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, hosts[:1], "sleep 321", Parameters={"executionTimeout": ["5"]})
    assert statuses(ended(ssm, command_id)) == {hosts[0]: "ExecutionTimedOut"}
    assert output(ssm, hosts[0], "pgrep -f '[s]leep 321' || echo gone") == "gone\n"


def test_a_running_command_can_be_cancelled(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, hosts[:1], "sleep 322")
    wait_for(
        "start of the script",
        lambda: ssm.list_commands(CommandId=command_id)["Commands"][0]["Status"] == "InProgress",
    )
    ssm.cancel_command(CommandId=command_id)
    assert statuses(ended(ssm, command_id)) == {hosts[0]: "Cancelled"}
    assert output(ssm, hosts[0], "pgrep -f '[s]leep 322' || echo gone") == "gone\n"


def test_targets_are_found_by_tag(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, [], "true", Targets=[{"Key": "tag:Purpose", "Values": ["ssm-test"]}])
    assert statuses(ended(ssm, command_id)) == dict.fromkeys(hosts, "Success")


def test_a_tag_that_no_host_has_ends_the_command_without_success(ssm: Any, hosts: list[str]) -> None:
    command_id = send(ssm, [], "true", Targets=[{"Key": "tag:Purpose", "Values": ["nothing"]}])
    (command,) = ssm.list_commands(CommandId=command_id)["Commands"]
    assert (command["Status"], command["StatusDetails"]) == ("Failed", "NoInstancesInTag")


def test_steps_parameters_and_preconditions_of_a_document(ssm: Any, hosts: list[str], document: Any) -> None:
    windows = {
        "action": "aws:runPowerShellScript",
        "name": "Windows",
        "precondition": {"StringEquals": ["platformType", "Windows"]},
        "inputs": {"runCommand": ["dir"]},
    }
    name = document(
        "test-steps",
        step("Say", "#!/bin/bash", "set -o pipefail", "echo '{{ Word }}' ${BASH_VERSION:+bash}"),
        windows,
        step("Fail", "exit 3", onFailure="exit"),
        step("Never", "touch /var/tmp/never"),
        step("Last", "test -e /var/tmp/never || echo clean", finallyStep=True),
        parameters={"Word": {"type": "String", "allowedValues": ["a", "b"]}},
    )
    command_id = send(ssm, hosts[:1], document=name, Parameters={"Word": ["b"]})
    plugins = {p["Name"]: p for p in ended(ssm, command_id)[hosts[0]]["CommandPlugins"]}
    assert plugins["Say"]["Output"] == "b bash\n"
    assert "unsatisfied preconditions" in plugins["Windows"]["Output"]
    assert (plugins["Fail"]["Status"], plugins["Fail"]["ResponseCode"]) == ("Failed", 3)
    assert plugins["Last"]["Output"] == "clean\n"
    last = ssm.get_command_invocation(CommandId=command_id, InstanceId=hosts[0], PluginName="Last")
    assert (last["Status"], last["StandardOutputContent"]) == ("Success", "clean\n")
    with pytest.raises(ClientError, match="InvalidParameters"):
        send(ssm, hosts[:1], document=name, Parameters={"Word": ["c"]})


@pytest.mark.slow
def test_exit_code_194_reboots_the_host_and_begins_the_step_again(ssm: Any, hosts: list[str], document: Any) -> None:
    mark = "/var/lib/rebooted"
    lines = ("stat -c 'boot %Y' /proc/1", f"if [ -e {mark} ]; then rm {mark}; exit 0; fi", f"touch {mark}; exit 194")
    name = document("test-reboot", step("Reboot", *lines), step("After", "echo after"))
    command_id = send(ssm, hosts[:1], document=name)
    plugins = {p["Name"]: p for p in ended(ssm, command_id, timeout=200)[hosts[0]]["CommandPlugins"]}
    boots = [line for line in plugins["Reboot"]["Output"].splitlines() if line.startswith("boot")]
    assert len(set(boots)) == 2
    assert plugins["After"]["Output"] == "after\n"


@pytest.mark.slow
def test_an_agent_that_is_restarted_before_its_reboot_begins_the_step_again_in_the_same_boot(
    ssm: Any, hosts: list[str], document: Any
) -> None:
    """And the machine goes down under what comes after it."""
    restart = "systemd-run --on-active=5 --timer-property=AccuracySec=100ms systemctl restart amazon-ssm-agent"
    mark = "/run/asked"
    lines = ("stat -c 'boot %Y' /proc/1", f"if [ -e {mark} ]; then exit 0; fi", f"touch {mark}; {restart}; exit 194")
    command_id = send(ssm, hosts[:1], document=document("test-early-restart", step("Reboot", *lines)))
    (plugin,) = ended(ssm, command_id, timeout=45)[hosts[0]]["CommandPlugins"]
    boots = [line for line in plugin["Output"].splitlines() if line.startswith("boot")]
    assert len(boots) == 2 and len(set(boots)) == 1

    def later() -> bool:
        return (
            ping(ssm, hosts[0]) == "Online" and output(ssm, hosts[0], "stat -c 'boot %Y' /proc/1").strip() not in boots
        )

    wait_for("the reboot that was asked for", later, timeout=150, every=5)


def test_a_command_survives_the_agents_restart(ssm: Any, hosts: list[str]) -> None:
    script = "systemctl restart amazon-ssm-agent; sleep 2; echo still here"
    command_id = send(ssm, hosts[:1], script)
    assert statuses(ended(ssm, command_id)) == {hosts[0]: "Success"}
    assert (
        ssm.get_command_invocation(CommandId=command_id, InstanceId=hosts[0])["StandardOutputContent"] == "still here\n"
    )


def test_whole_output_goes_to_the_bucket(lab: RunningLab, ssm: Any, hosts: list[str]) -> None:
    bucket = account.BUCKET
    command_id = send(ssm, hosts[:1], "seq 1 20000", OutputS3BucketName=bucket, OutputS3KeyPrefix="logs")
    ended(ssm, command_id)
    shown = ssm.get_command_invocation(CommandId=command_id, InstanceId=hosts[0])
    assert shown["StandardOutputContent"].endswith("--output truncated--")
    assert "/awsrunShellScript/0.awsrunShellScript/stdout" in shown["StandardOutputUrl"]
    key = shown["StandardOutputUrl"].partition(f"/{bucket}/")[2]
    whole = lab.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert whole.splitlines()[-1] == "20000"


def test_the_agent_tells_who_it_is_and_what_it_lacks(ssm: Any, hosts: list[str]) -> None:
    told = json.loads(output(ssm, hosts[0], "ssm-cli get-instance-information"))
    assert told == {"instance-id": hosts[0], "region": "us-east-1", "release-version": "3.3.987.0"}
    assert registration_errors(output(ssm, hosts[0], "ssm-cli get-diagnostics --output json")) == []
    assert output(ssm, hosts[0], "rpm -qf /usr/bin/amazon-ssm-agent").startswith("amazon-ssm-agent-3.3.987.0-1.standin")


def test_an_instance_speaks_for_itself_only(ssm: Any, hosts: list[str]) -> None:
    script = f"""cd {AGENT_LIBRARY} && /usr/bin/python3 -c '
from ssm_standin import aws
try:
    aws.Client("us-east-1", aws.Metadata()).call("ec2messages", "GetMessages", {{"Destination": "{hosts[1]}"}})
except aws.AwsError as error:
    print(error.code)
'"""
    assert output(ssm, hosts[0], script) == "AccessDeniedException\n"


def test_a_host_that_never_registered_is_refused(ssm: Any) -> None:
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        send(ssm, ["i-00000000000000000"], "true")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"DocumentName": "no-such"}, "InvalidDocument"),
        ({"DocumentName": SHELL, "Parameters": {}}, "InvalidParameters"),
        ({"DocumentName": SHELL, "MaxErrors": "101%"}, "alidat"),
        ({"DocumentName": SHELL, "NotificationConfig": {"NotificationArn": "a"}}, "NotificationConfig"),
    ],
)
def test_what_run_command_cannot_do_is_refused(
    ssm: Any, hosts: list[str], request_: dict[str, Any], error: str
) -> None:
    request = {"InstanceIds": hosts[:1], "Parameters": {"commands": ["true"]}, **request_}
    with pytest.raises(ClientError, match=error):
        ssm.send_command(**request)


@pytest.fixture
def patch(ssm: Any, hosts: list[str], document: Any) -> Any:
    """Runs the patch document on the hosts; returns their invocations. Nothing else is served here, so there is no health check."""
    content = yaml.safe_load((COLLECTION / "ssm/patch.yml").read_text())
    (only,) = content["mainSteps"]
    only["inputs"]["runCommand"] = [(COLLECTION / "ssm/scripts/patch.sh").read_text()]
    name = document("patch-test", only, parameters=content["parameters"])

    def run(**parameters: str) -> dict[str, dict[str, Any]]:
        given = {"HealthUrl": "", "WaitSeconds": "60", **parameters}
        command_id = send(ssm, hosts, document=name, Parameters={k: [v] for k, v in given.items()})
        ended(ssm, command_id, timeout=180)
        return {i: ssm.get_command_invocation(CommandId=command_id, InstanceId=i) for i in hosts}

    return run


def test_the_patch_document_reports_what_it_found_and_what_it_did(ssm: Any, patch: Any) -> None:
    for operation in ("Scan", "Install"):
        for host, invocation in patch(Operation=operation).items():
            assert invocation["Status"] == "Success", invocation["StandardErrorContent"]
            report = json.loads(invocation["StandardOutputContent"])
            system = output(ssm, host, "sed -n 's/^VERSION_ID=//p' /etc/os-release").strip().strip('"')
            assert bool(re.fullmatch(r"2023[.][0-9]+[.][0-9]{8}", report["release"])) == (system == "2023")
            assert (report["operation"], report["rebooted"], report["pending"]) == (operation, False, 0)
            assert "updateinfo list security" in output(ssm, host, f"cat {report['log']}")


FAULTS = {
    "a dead repository that may be skipped": (
        r"printf '[dead]\nname=dead\nbaseurl=http://127.0.0.1:9/\ngpgcheck=0\nskip_if_unavailable=1\n' >/etc/yum.repos.d/dead.repo",
        "rm /etc/yum.repos.d/dead.repo",
        "dead",
    ),
    "the lock of rpm": (
        """setsid "$(command -v python3 || command -v python2.7)" -c 'import fcntl, time
file = open("/var/lib/rpm/.rpm.lock", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
time.sleep(300)' >/dev/null 2>&1 </dev/null &
echo $! >/run/holder""",
        "kill $(cat /run/holder)",
        "still locked after 2 s, by process",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_stands_in_the_way_of_a_patch_fails_it_by_name(ssm: Any, hosts: list[str], patch: Any, fault: str) -> None:
    make, undo, words = FAULTS[fault]
    assert set(statuses(ended(ssm, send(ssm, hosts, make))).values()) == {"Success"}
    try:
        for invocation in patch(WaitSeconds="2").values():
            assert invocation["Status"] == "Failed", invocation["StandardOutputContent"]
            assert words in invocation["StandardErrorContent"]
    finally:
        ended(ssm, send(ssm, hosts, undo))


def test_a_host_without_a_running_agent_is_lost_and_its_commands_are_not_delivered(ssm: Any, hosts: list[str]) -> None:
    """Last of this file: it takes the agent of a host away."""
    send(ssm, hosts[1:], "systemd-run --on-active=1 --timer-property=AccuracySec=100ms systemctl stop amazon-ssm-agent")
    wait_for("lost connection", lambda: ping(ssm, hosts[1]) == "ConnectionLost", every=1)
    command_id = send(ssm, hosts[1:], "touch /var/tmp/delivered", TimeoutSeconds=30)
    found = ended(ssm, command_id, timeout=60)[hosts[1]]
    assert (found["Status"], found["StatusDetails"]) == ("TimedOut", "DeliveryTimedOut")
    assert found["CommandPlugins"] == []
    assert ssm.get_command_invocation(CommandId=command_id, InstanceId=hosts[1])["ResponseCode"] == -1
