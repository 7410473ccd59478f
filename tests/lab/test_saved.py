"""A lab that is saved and restored: records, disks, images, repositories; as often as one likes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from lab.settings import Settings
from tests.support.ec2 import code_of, describe, launch, leader, ssh, state, status
from tests.support.labs import environment, own_name
from tests.support.running_lab import RunningLab, running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def saved() -> Iterator[RunningLab]:
    """A lab of its own with one host and a parameter, saved as `one-host`. Whoever starts it has a umask of his own."""
    before = os.umask(0o077)
    with running(Settings.load(environment(own_name("saved"), LAB_OS="al2023"))) as lab:
        os.umask(before)
        ec2 = lab.client("ec2")
        host = launch(ec2)
        wait_for("instance status ok", lambda: status(ec2, host) == "ok")
        ssh(lab, ec2, host, "echo first | sudo tee /kept")
        lab.client("ssm").put_parameter(Name="/host", Value=host, Type="String")
        done = lab.command("save", "one-host", timeout=180)
        assert done.returncode == 0, done.stderr
        yield lab


def host_of(lab: RunningLab) -> str:
    return str(lab.client("ssm").get_parameter(Name="/host")["Parameter"]["Value"])


def restore(lab: RunningLab) -> None:
    done = lab.command("restore", "one-host", timeout=180)
    assert done.returncode == 0, done.stderr


def terminated(ec2: Any, instance_id: str) -> bool:
    return state(ec2, instance_id) == "terminated"


def served_repository(lab: RunningLab) -> str:
    return str((lab.settings.repositories_dir / "al2023/.current").readlink())


def test_a_saved_lab_goes_on_with_its_machines(saved: RunningLab) -> None:
    ec2 = saved.client("ec2")
    assert (state(ec2, host_of(saved)), status(ec2, host_of(saved))) == ("running", "ok")
    assert ssh(saved, ec2, host_of(saved), "cat /kept") == "first"


def test_what_was_done_since_the_save_is_undone_by_each_restore(saved: RunningLab) -> None:
    ec2, ssm = saved.client("ec2"), saved.client("ssm")
    for _ in range(2):
        host = host_of(saved)
        before = describe(ec2, host)
        ssh(saved, ec2, host, "sudo rm /kept; sudo touch /new")
        other = launch(ec2)
        ssm.put_parameter(Name="/host", Value="changed", Type="String", Overwrite=True)
        assert saved.command("advisory", "publish").returncode == 0
        ec2.terminate_instances(InstanceIds=[host])
        wait_for("the host's end", partial(terminated, ec2, host))
        restore(saved)
        assert host_of(saved) == host
        assert status(ec2, host) == "ok"
        assert describe(ec2, host) == before
        assert ssh(saved, ec2, host, "cat /kept; ls /new 2>&1 | cut -c1-2") == "first\nls"
        assert code_of(ec2.describe_instances, InstanceIds=[other]) == "InvalidInstanceID.NotFound"
        assert sorted(path.name for path in saved.settings.machines_dir.iterdir()) == [host]
        assert served_repository(saved) == ".states/base"


def test_an_image_of_a_restored_machine_has_what_was_written_before_and_after_the_save(saved: RunningLab) -> None:
    restore(saved)
    ec2 = saved.client("ec2")
    ssh(saved, ec2, host_of(saved), "echo second | sudo tee /later")
    image = ec2.create_image(InstanceId=host_of(saved), Name="both")["ImageId"]
    wait_for("image", lambda: ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available")
    made = launch(ec2, ImageId=image)
    wait_for("instance status ok", lambda: status(ec2, made) == "ok")
    assert ssh(saved, ec2, made, "cat /kept /later") == "first\nsecond"
    restore(saved)
    assert code_of(ec2.describe_images, ImageIds=[image]) == "InvalidAMIID.NotFound"
    layers = saved.settings.images_dir / "layers"
    wait_for("one layer, the save's", lambda: len(list(layers.iterdir())) == 1)


def test_a_save_waits_for_what_is_on_its_way_and_a_stopped_instance_stays_stopped(saved: RunningLab) -> None:
    restore(saved)
    ec2, host = saved.client("ec2"), host_of(saved)
    ec2.stop_instances(InstanceIds=[host])
    done = saved.command("save", "stopped", timeout=180)
    assert done.returncode == 0, done.stderr
    assert state(ec2, host) == "stopped"
    ec2.start_instances(InstanceIds=[host])
    wait_for("instance status ok", lambda: status(ec2, host) == "ok")
    assert saved.command("restore", "stopped", timeout=180).returncode == 0
    assert state(ec2, host) == "stopped"
    with pytest.raises(pytest.fail.Exception, match="has no process"):
        leader(saved, host)
    ec2.start_instances(InstanceIds=[host])
    wait_for("instance status ok", lambda: status(ec2, host) == "ok")
    assert ssh(saved, ec2, host, "cat /kept") == "first"


def test_a_save_that_does_not_exist_is_refused_and_the_others_are_named(saved: RunningLab) -> None:
    done = saved.command("restore", "nowhere")
    assert done.returncode == 1
    assert "has no save 'nowhere'" in done.stderr
    assert "Saves: one-host" in done.stderr
    assert "Traceback" not in done.stderr
