"""Every way in which a roll, or a patch, ends: on the real playbooks and modules, with hosts that are this machine and an AWS in memory."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.played.fleet import JOURNAL, RELEASE, Played, collection, played


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collection(tmp_path_factory.mktemp("collections"))


@pytest.fixture
def fleet(tmp_path: Path, collections: Path) -> Iterator[Played]:
    with played(tmp_path, collections) as made:
        yield made


def resumes_with(text: str, fleet: Played) -> bool:
    """Whether the message ends with the whole command that resumes."""
    found = re.search(r"resume with: (ansible-playbook .*? -e fleet_os=al2023)", text)
    if not found:
        return False
    words = shlex.split(found[1])
    return words[1:3] == ["-i", str(fleet.folder / "inventory")] and words[3].startswith("ecommerce.fleet.")


def test_a_roll_ends_on_every_host_also_when_one_is_lost_and_others_are_launched_meanwhile(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b", i_3="c")
    fleet.set(suspended=["AZRebalance"], then={"exit_standby:i-1": {"remove": ["i-2"], "launch": ["i-4"]}})
    fleet.mark("i-4", "version", "1.0.0")
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code == 0, text[-3000:]
    assert fleet.versions() == {"i-1": "1.1.0", "i-3": "1.1.0", "i-4": "1.1.0"}
    assert "i-2 is no longer in the Auto Scaling group: left out" in text
    assert "Release 1.1.0 runs on 3 hosts" in text
    assert "Move to Standby and wait until drained: i-1 (at most 4 s)" in text
    assert {region: (fleet.parameter(RELEASE, region) or {})["version"] for region in fleet.ssm} == {
        "us-east-1": "1.1.0",
        "us-west-2": "1.1.0",
    }
    assert fleet.state["suspended"] == ["AZRebalance"], "an operator had suspended it"
    assert (fleet.parameter(JOURNAL) or {})["status"] == "finished"
    assert fleet.parameter(f"{JOURNAL}/lock") is None


def test_a_host_that_cannot_be_reached_is_not_taken_out_of_service(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    fleet.mark("i-1", "unreachable")
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0
    assert "roll (1.1.0) stopped at i-1 in us-east-1a: Stop if it can't be reached: Ansible can't reach it" in text
    assert "Nothing was changed on it. The host is in service; 1 of 1 other hosts serve" in text
    assert resumes_with(text, fleet)
    assert fleet.state["moves"] == []
    assert fleet.state["suspended"] == []
    assert (fleet.parameter(JOURNAL) or {})["status"] == "stopped"


def test_a_host_that_is_lost_while_it_is_deployed_stays_in_standby_and_the_command_that_is_told_resumes(
    fleet: Played,
) -> None:
    fleet.launch(i_1="a", i_2="b")
    fleet.mark("i-1", "loses")
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0
    assert "The host is in Standby; nobody is served from it" in text
    assert resumes_with(text, fleet)
    assert fleet.lifecycle() == {"i-1": "Standby", "i-2": "InService"}
    # Still unreachable: it stays where it is.
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert "Nothing was changed on it. The host is in Standby" in text
    for what in ("loses", "unreachable"):
        fleet.unmark("i-1", what)
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code == 0, text[-3000:]
    assert set(fleet.versions().values()) == {"1.1.0"}


def test_a_release_that_is_never_ready_stops_the_roll_once_its_whole_batch_is_back(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="a", i_3="b", i_4="b")
    fleet.mark("i-1", "broken")
    # The record of why is refused as well.
    fleet.set(faults={'put_parameter:"stopped"': "the journal is not there"})
    code, text = fleet.play("roll", fleet_release_version="1.1.0", fleet_batch_size=2)
    assert code != 0
    assert "it was never ready. The host is in service; 3 of 3 other hosts serve" in text
    assert "Moreover this could not be recorded" in text and "the journal is not there" in text
    assert "-e fleet_batch_size=2" in text and resumes_with(text, fleet)
    assert fleet.versions() == {"i-1": "1.0.0", "i-2": "1.1.0", "i-3": "1.0.0", "i-4": "1.0.0"}
    assert set(fleet.lifecycle().values()) == {"InService"}
    assert fleet.state["suspended"] == []
    assert (fleet.parameter(JOURNAL) or {})["hosts"]["i-2"] == "done"


def test_a_host_that_is_back_at_the_old_release_before_the_roll_ends_is_rolled_again(fleet: Played) -> None:
    """It has booted in between: the current release is the old one until the roll ends."""
    fleet.launch(i_1="a", i_2="b")
    fleet.set(then={"exit_standby:i-2": {"version": {"i-1": "1.0.0"}}})
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code == 0, text[-3000:]
    assert "i-1 answers with 1.0.0 instead of release 1.1.0. It is rolled again" in text
    assert fleet.versions() == {"i-1": "1.1.0", "i-2": "1.1.0"}
    assert fleet.state["moves"][-2:] == ["enter_standby:i-1", "exit_standby:i-1"]
    assert "Release 1.1.0 runs on 2 hosts" in text


def test_all_hosts_of_a_batch_that_fail_are_told_and_recorded(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="a", i_3="b", i_4="b")
    fleet.mark("i-1", "broken")
    fleet.mark("i-2", "loses")
    code, text = fleet.play("roll", fleet_release_version="1.1.0", fleet_batch_size=2)
    assert code != 0
    assert "stopped at i-1" in text and "stopped at i-2" in text
    journal = fleet.parameter(JOURNAL) or {}
    assert "stopped at i-1" in journal["message"] and "stopped at i-2" in journal["message"]
    assert fleet.lifecycle() == {"i-1": "InService", "i-2": "Standby", "i-3": "InService", "i-4": "InService"}


def test_a_roll_whose_credentials_expire_names_the_host_that_is_out_and_resumes_with_new_ones(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    calls = ("describe_auto_scaling_groups", "enter_standby", "exit_standby", "put_parameter", "get_parameters")
    expired = dict.fromkeys(calls, "ExpiredToken: it is too old")
    fleet.set(then={"enter_standby:i-1": {"faults": expired}})
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0 and "Traceback" not in text
    assert "roll (1.1.0) stopped at i-1 in us-east-1a: Move to Standby" in text and "renew the credentials" in text
    assert "The host is in an unknown state" in text and "Moreover this could not be recorded" in text
    assert resumes_with(text, fleet)
    fleet.set(faults={}, then={})
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code == 0, text[-3000:]
    assert set(fleet.versions().values()) == {"1.1.0"} and set(fleet.lifecycle().values()) == {"InService"}
    assert (fleet.state["suspended"], fleet.state["fewest"]) == ([], 1)


@pytest.mark.parametrize(
    ("then", "stands"),
    [
        ({"exit_standby:i-1": {"lifecycle": {"i-1": "Terminating:Wait"}}}, "The host is not served from (i-1"),
        ({"enter_standby:i-1": {"remove": ["i-1"]}}, "The host is no longer in the Auto Scaling group"),
    ],
)
def test_a_host_that_is_lost_in_its_turn_is_told_as_lost_and_the_others_are_rolled_by_the_same_command(
    fleet: Played, then: dict[str, object], stands: str
) -> None:
    fleet.launch(i_1="a", i_2="b", i_3="c")
    fleet.set(then=then)
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0
    assert "stopped at i-1 in us-east-1a" in text and stands in text and resumes_with(text, fleet)
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code == 0, text[-3000:]
    assert {i: fleet.versions()[i] for i in ("i-2", "i-3")} == {"i-2": "1.1.0", "i-3": "1.1.0"}


def test_no_host_is_drained_once_its_group_could_not_take_it_back(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    fleet.set(then={"exit_standby:i-1": {"suspend": ["Launch"]}})
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0 and "stopped at i-2 in us-east-1b" in text and "Launch is suspended" in text
    assert fleet.state["moves"] == ["enter_standby:i-1", "exit_standby:i-1"]
    assert fleet.state["suspended"] == ["Launch"]


def test_a_host_that_the_load_balancer_does_not_call_healthy_is_drained_again(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    fleet.set(sick=["i-1"], hosts={**fleet.state["hosts"], "i-1": {"zone": "us-east-1a", "lifecycle": "Standby"}})
    journal = {"operation": "roll", "subject": "1.1.0", "status": "stopped", "hosts": {"i-1": "standby"}}
    fleet.ssm["us-east-1"].put_parameter(Name=JOURNAL, Type="String", Value=json.dumps(journal))
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0
    assert "The host is in Standby; nobody is served from it (" in text and "web unhealthy" in text
    assert fleet.lifecycle() == {"i-1": "Standby", "i-2": "InService"}


def test_a_roll_that_cannot_record_its_release_is_resumed_and_does_so(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    fleet.set(faults={'put_parameter:"finished"': "throttled for good"})
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0
    assert "stopped after its last step: Close the journal" in text and resumes_with(text, fleet)
    assert (fleet.parameter(RELEASE) or {})["version"] == "1.1.0", "recorded before the journal is closed"
    assert fleet.state["suspended"] == []
    moves = fleet.state["moves"]
    fleet.set(faults={})
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code == 0, text[-3000:]
    assert fleet.state["moves"] == moves, "every host was done"
    assert (fleet.parameter(JOURNAL) or {})["status"] == "finished"


def test_a_second_operator_is_told_who_holds_the_fleet(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    holder = {"name": "alice@ctl1", "node": "another", "pid": 4711, "started": "1"}
    held = {
        "holder": holder,
        "doing": "roll (1.1.0)",
        "since": "2026-01-01T00:00:00+00:00",
        "until": "2099-01-01T00:00:00+00:00",
    }
    fleet.ssm["us-east-1"].put_parameter(Name=f"{JOURNAL}/lock", Type="String", Value=json.dumps(held))
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code != 0
    assert (
        "roll (1.1.0) by alice@ctl1 (process 4711, since 2026-01-01T00:00:00+00:00) holds the fleet. Nothing was changed"
        in text
    )
    assert (fleet.state["moves"], fleet.parameter(JOURNAL)) == ([], None)


def test_a_patch_that_fails_returns_its_host_and_says_how_to_go_on(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    fleet.set(faults={"send_command": "the agent has no connection"})
    code, text = fleet.play("patch")
    assert code != 0
    assert "patch (Install) stopped at i-1 in us-east-1a" in text and "the agent has no connection" in text
    assert "The host is in service; 1 of 1 other hosts serve" in text
    assert "HostVars" not in text and resumes_with(text, fleet)
    assert fleet.state["suspended"] == []
    assert (fleet.parameter(JOURNAL) or {})["status"] == "stopped"


def test_a_host_of_whose_agent_nothing_is_known_is_not_drained_for_a_patch(fleet: Played) -> None:
    fleet.launch(i_1="a", i_2="b")
    fleet.set(faults={"describe_instance_information": "not for you"})
    code, text = fleet.play("patch")
    assert code != 0
    assert "patch (Install) stopped at i-1 in us-east-1a: Contact the host's agent" in text and "not for you" in text
    assert "Nothing was changed on it. The host is in service; 1 of 1 other hosts serve" in text
    assert resumes_with(text, fleet)
    assert (fleet.state["moves"], fleet.state["suspended"]) == ([], [])
    assert (fleet.parameter(JOURNAL) or {})["status"] == "stopped"


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(n, marks=pytest.mark.soak) for n in range(3, 23))])
def test_a_roll_that_is_killed_at_any_moment_reaches_its_target_when_it_is_run_again(fleet: Played, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
    fleet.launch(i_1="a", i_2="b")
    fleet.killed(chance.randint(1, 45), chance.uniform(0, 2), "roll", fleet_release_version="1.1.0")
    code, text = fleet.play("roll", fleet_release_version="1.1.0")
    assert code == 0, text[-3000:]
    assert set(fleet.versions().values()) == {"1.1.0"}
    assert set(fleet.lifecycle().values()) == {"InService"}
    assert fleet.state["fewest"] == 1, "one host served at every moment"
    assert fleet.state["suspended"] == []
    assert (fleet.parameter(RELEASE) or {})["version"] == "1.1.0"
    assert (fleet.parameter(JOURNAL) or {})["status"] == "finished"
    assert fleet.parameter(f"{JOURNAL}/lock") is None
