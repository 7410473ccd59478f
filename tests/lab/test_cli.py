"""The `lab` command: what it refuses, what it passes on, how it starts and ends whatever was there before."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import environment, prerequisites, processes
from lab import settings as names
from lab.cli import main
from lab.daemon import leftovers, lifecycle, status_file
from lab.errors import LabError
from lab.network import namespaces
from lab.network.forward import Forwarder
from lab.settings import Settings
from tests.support.running_lab import ROOT, RunningLab, lab_command
from tests.support.waiting import wait_for

ANYBODY = {"PATH": "/usr/bin:/bin", "HOME": "/home/me", "LANG": "C.UTF-8"}


def test_the_lab_refuses_another_system_and_says_what_it_needs() -> None:
    with pytest.raises(LabError, match=r"needs Linux.*this is darwin"):
        prerequisites.require_linux("darwin")


def test_the_lab_refuses_another_user_than_root_and_says_what_to_do() -> None:
    with pytest.raises(LabError, match="needs root") as caught:
        prerequisites.require_root(1000)
    assert "sudo" in caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [
        ["up"],
        ["down"],
        ["status"],
        ["list"],
        ["run", "true"],
        ["shell"],
        ["ssh", "x"],
        ["open"],
        ["advisory", "publish"],
        ["image", "import", "x"],
    ],
)
def test_every_command_ends_with_a_message_for_a_person_without_root(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(
        "lab: The lab needs root: it makes network namespaces and boots machines\n  Run"
    )


def test_missing_programs_are_named_together_with_their_packages() -> None:
    absent = ("systemd-nspawn", "haproxy")
    with pytest.raises(LabError, match="systemd-nspawn, haproxy") as caught:
        prerequisites.require_programs(lambda program: None if program in absent else f"/usr/bin/{program}")
    assert "apt-get install --no-install-recommends haproxy systemd-container" in caught.value.hint


def test_a_kernel_without_overlayfs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "filesystems").write_text("nodev\tproc\n\text4\n")
    with pytest.raises(LabError, match="overlayfs"):
        prerequisites.require_overlayfs(tmp_path / "filesystems", tmp_path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LAB_NAME", "Big"),
        ("LAB_NAME", "toolongname"),
        ("LAB_STATE", "relative"),
        ("LAB_STATE", "/a,b"),
        ("LAB_OS", "windows"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LabError) as caught:
        Settings.load({variable: value})
    assert value in str(caught.value)
    assert caught.value.hint


def test_commands_inside_get_the_labs_aws_and_nothing_of_the_users() -> None:
    settings = Settings.load({})
    user = {
        **ANYBODY,
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SESSION_TOKEN": "real",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://real",
        "AWS_ENDPOINT_URL_S3": "https://real",
        "EC2_ACCESS_KEY": "AKIAREAL",
        "BOTO_CONFIG": "/real",
        "https_proxy": "http://proxy:3128",
    }
    inside_env = environment.inside(settings, user)
    assert not [value for value in inside_env.values() if "real" in value.lower() or "proxy" in value]
    assert "AWS_PROFILE" not in inside_env
    assert inside_env["AWS_ENDPOINT_URL"] == "http://10.0.0.1:4566"
    assert inside_env["AWS_ACCESS_KEY_ID"] == names.ACCESS_KEY
    assert inside_env["AWS_CONFIG_FILE"] == inside_env["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert inside_env["HOME"] == "/home/me"
    assert inside_env["PATH"].split(":")[:2] == [str(Path(sys.prefix) / "bin"), str(ROOT / "build/bin")]


def test_what_is_set_aside_is_named_and_a_lab_in_a_lab_is_silent() -> None:
    settings = Settings.load({})
    user = {**ANYBODY, "AWS_PROFILE": "production", "AWS_SECRET_ACCESS_KEY": "real", "AWS_REGION": "eu-central-1"}
    assert environment.credentials_set_aside(settings, user) == ["AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"]
    assert environment.credentials_set_aside(settings, environment.inside(settings, user)) == []


def test_a_state_directory_with_other_things_is_never_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "remove", lambda settings: 0)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LabError, match="not a lab's state"):
        lifecycle._clean(Settings("x", tmp_path, tmp_path), lambda message: None)
    assert (tmp_path / "thesis.tex").exists()


def test_commands_say_that_the_lab_is_not_up(tmp_path: Path) -> None:
    absent = Settings("absent", tmp_path / "state", tmp_path / "cache")
    for arguments in (["run", "true"], ["shell"], ["ssh", "web-1"], ["open"], ["advisory", "publish"]):
        done = lab_command(absent, arguments)
        assert done.returncode == 1
        assert done.stderr == "lab: The lab 'absent' is not up\n  Start it: `lab up`.\n"
    assert json.loads(lab_command(absent, ["status", "--json"]).stdout) == {"name": "absent", "up": False}


@pytest.mark.lab
def test_list_and_logs_know_a_running_lab(lab: RunningLab) -> None:
    (line,) = [line for line in lab.command("list").stdout.splitlines() if line.split()[0] == lab.settings.name]
    assert " up since " in line and str(lab.settings.state) in line
    done = lab.command("logs", "i-123")
    assert done.returncode == 1
    assert "The lab has no instance 'i-123'" in done.stderr


@pytest.mark.lab
def test_run_passes_output_and_exit_code_through_and_warns_of_real_credentials(lab: RunningLab) -> None:
    done = lab.command("run", "sh", "-c", 'echo "$AWS_ACCESS_KEY_ID"; exit 7', env={"AWS_PROFILE": "production"})
    assert done.returncode == 7
    assert done.stdout == f"{names.ACCESS_KEY}\n"
    assert done.stderr == "lab: AWS_PROFILE of your environment are set aside; this command sees only the lab's AWS.\n"


@pytest.mark.lab
def test_run_keeps_the_terminal(lab: RunningLab) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "lab", "run", "sh", "-c", "test -t 0 && test -t 1 && echo terminal"],
        env={**os.environ, "LAB_NAME": lab.settings.name, "LAB_STATE": str(lab.settings.state)},
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        check=False,
    )
    assert done.returncode == 0
    assert os.read(ours, 100).strip() == b"terminal"
    os.close(ours)
    os.close(theirs)


@pytest.mark.lab
def test_run_names_a_command_that_is_not_there(lab: RunningLab) -> None:
    done = lab.command("run", "no-such-command")
    assert done.returncode == 1
    assert "Cannot start 'no-such-command'" in done.stderr


@pytest.mark.lab
def test_a_mount_made_inside_is_not_seen_outside(lab: RunningLab) -> None:
    before = Path("/etc/hosts").read_text()
    done = lab.command("run", "cat", "/etc/hosts")
    assert done.stdout == lab.settings.hosts_file.read_text()
    assert Path("/etc/hosts").read_text() == before


@pytest.mark.lab
def test_there_is_no_way_out_of_the_lab(lab: RunningLab) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 443), 3)"
    done = lab.command("run", sys.executable, "-c", code)
    assert "unreachable" in done.stderr


@pytest.mark.lab
def test_the_api_answers_the_labs_credentials_and_refuses_others(lab: RunningLab) -> None:
    assert lab.client("sts").get_caller_identity()["Account"] == names.ACCOUNT_ID
    refused = lab.command(
        "run",
        "env",
        "AWS_ACCESS_KEY_ID=AKIAREALACCOUNT00000",
        "AWS_SECRET_ACCESS_KEY=x",
        "aws",
        "sts",
        "get-caller-identity",
    )
    assert refused.returncode != 0
    assert "InvalidClientTokenId" in refused.stderr


@pytest.mark.lab
def test_status_shows_the_lab_for_people_and_programs(lab: RunningLab) -> None:
    shown = json.loads(lab.command("status", "--json").stdout)
    assert (shown["name"], shown["up"], shown["endpoint"]) == (lab.settings.name, True, "http://10.0.0.1:4566")
    assert f"lab {lab.settings.name!r}: up since" in lab.command("status").stdout


@pytest.mark.lab
def test_ssh_to_an_unknown_host_says_which_there_are(lab: RunningLab) -> None:
    done = lab.command("ssh", "--direct", "no-such-host")
    assert done.returncode == 1
    assert "has no instance 'no-such-host'" in done.stderr


@pytest.mark.lab
def test_ssh_finds_an_instance_by_id_name_and_address_and_passes_the_exit_code(
    lab: RunningLab, instance: dict[str, str]
) -> None:
    for host_name in instance.values():
        done = lab.command("ssh", "--direct", host_name, "hostname; exit 5")
        assert done.returncode == 5, done.stderr
        assert done.stdout.strip() == f"ip-{instance['address'].replace('.', '-')}.ec2.internal"


@pytest.mark.lab
def test_a_name_of_an_instance_resolves_inside(lab: RunningLab, instance: dict[str, str]) -> None:
    name = f"ip-{instance['address'].replace('.', '-')}.ec2.internal"
    assert lab.command("run", "getent", "hosts", name).stdout.split()[0] == instance["address"]


@pytest.fixture(scope="module")
def instance(lab: RunningLab) -> Iterator[dict[str, str]]:
    ec2, name = lab.client("ec2"), f"cli-test-{os.getpid()}"
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["app-us-east-1a"]}])["Subnets"][0][
        "SubnetId"
    ]
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["al2023-ami-*"]}])["Images"][0]["ImageId"]
    (made,) = ec2.run_instances(
        ImageId=image,
        SubnetId=subnet,
        KeyName="lab",
        InstanceType="t3.medium",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
    )["Instances"]
    ec2.get_waiter("instance_status_ok").wait(
        InstanceIds=[made["InstanceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    yield {"id": made["InstanceId"], "name": name, "address": made["PrivateIpAddress"]}
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


@pytest.mark.lab
def test_a_machine_sees_its_metadata_only_with_a_token_when_tokens_are_required(
    lab: RunningLab, instance: dict[str, str]
) -> None:
    script = """
        ask() { curl -s -m 5 "$@"; }
        url=http://169.254.169.254/latest
        token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $url/api/token)
        ask -H "X-aws-ec2-metadata-token: $token" $url/meta-data/instance-id
        echo; ask -o /dev/null -w '%{http_code}' -H 'X-aws-ec2-metadata-token: wrong' $url/meta-data/instance-id
    """
    assert lab.command("ssh", "--direct", instance["id"], script).stdout.split() == [instance["id"], "401"]


@pytest.mark.lab
def test_a_taken_port_is_named(lab: RunningLab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = lab.command("open", "--port", str(port))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.lab
def test_a_forwarded_port_leads_from_loopback_into_the_lab(lab: RunningLab) -> None:
    with Forwarder(0, lab.settings.netns_path) as forwarder:
        forwarder.target = (names.GATEWAY, names.REPOSITORY_PORT)
        threading.Thread(target=forwarder.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{forwarder.port}/", timeout=5) as answer:
            assert b"al2023/" in answer.read()
        forwarder.shutdown()


@pytest.fixture
def second(lab: RunningLab, tmp_path: Path) -> Iterator[Settings]:
    """A lab beside the shared one, not up yet."""
    settings = replace(lab.settings, name=f"v{os.getpid() % 1000000}", state=tmp_path / "state", oses=("al2023",))
    yield settings
    lab_command(settings, ["down"], timeout=90)


def nothing_left(settings: Settings) -> bool:
    mounts = Path("/proc/self/mountinfo").read_text()
    return not (
        processes.ours(settings)
        or settings.netns_path.exists()
        or settings.state.exists()
        or str(settings.state) in mounts
    )


@pytest.mark.lab
def test_up_and_down_can_be_said_twice_and_down_leaves_nothing(second: Settings) -> None:
    for expected in ("is up", "already up since"):
        done = lab_command(second, ["up", "--os", "al2023"], timeout=120)
        assert done.returncode == 0, done.stderr
        assert expected in done.stderr
    missing = lab_command(second, ["up", "--os", "both"])
    assert missing.returncode == 1
    assert "up without al2" in missing.stderr
    for _ in range(2):
        done = lab_command(second, ["down"], timeout=90)
        assert done.returncode == 0, done.stderr
        assert nothing_left(second)
    assert not Path(f"/run/{second.netns}.lock").exists()


@pytest.mark.lab
def test_a_killed_lab_is_cleaned_up_by_the_next_up(second: Settings) -> None:
    assert lab_command(second, ["up", "--os", "al2023"], timeout=120).returncode == 0
    first = status_file.require(second)
    os.kill(first.pid, signal.SIGKILL)
    wait_for("end of the daemon", lambda: not processes.alive(first.pid))
    assert lab_command(second, ["status"]).returncode == 3
    stray = subprocess.Popen(["nsenter", f"--net={second.netns_path}", "sleep", "300"])
    done = lab_command(second, ["up", "--os", "al2023"], timeout=120)
    assert done.returncode == 0, done.stderr
    assert "processes that an earlier lab left" in done.stderr
    assert stray.wait(5) != 0
    assert status_file.require(second).pid != first.pid


@pytest.mark.lab
def test_up_names_a_namespace_that_is_not_its_own_and_leaves_it(second: Settings) -> None:
    subprocess.run(["ip", "netns", "add", second.netns], check=True)
    try:
        done = lab_command(second, ["up"], timeout=60)
        assert done.returncode == 1
        assert f"Network namespace {second.netns} exists and was not made by this lab" in done.stderr
        assert second.netns_path.exists()
    finally:
        subprocess.run(["ip", "netns", "delete", second.netns], check=True)


@pytest.mark.lab
def test_a_port_that_a_leftover_holds_inside_is_free_again_after_up(second: Settings) -> None:
    assert lab_command(second, ["up", "--os", "al2023"], timeout=120).returncode == 0
    os.kill(status_file.require(second).pid, signal.SIGKILL)
    code = "import socket, time; s = socket.create_server(('10.0.0.1', 4566)); print(flush=True); time.sleep(300)"
    wait_for("free port", lambda: not port_open(second))
    holder = subprocess.Popen(
        ["nsenter", f"--net={second.netns_path}", sys.executable, "-c", code], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.stdout.close()
    assert lab_command(second, ["up", "--os", "al2023"], timeout=120).returncode == 0
    assert holder.wait(5) != 0


def port_open(settings: Settings) -> bool:
    try:
        namespaces.connect(settings.netns_path, (names.GATEWAY, names.API_PORT), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.lab
def test_down_inside_the_lab_is_refused(lab: RunningLab) -> None:
    done = lab.command("run", sys.executable, "-m", "lab", "down")
    assert done.returncode == 1
    assert "inside the lab" in done.stderr
    assert status_file.read(lab.settings) is not None
