"""ecommerce.fleet.patch on two hosts, with a fault at every place where it can stop."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ecommerce.fleet.plugins.module_utils._aws import run_command
from ansible_collections.ecommerce.fleet.plugins.modules import ssm_command, ssm_online
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.task import COLLECTION

from tests.support.stub_play import Played, StubPlay

HOSTS = ("i-1", "i-2")
RELEASE = "2023.9.20260105"
JOURNAL, RECORD = "/fleet/shop/test/al2023/operation", "/fleet/shop/test/al2023/patch-release"
BROKEN = {"failed": True, "msg": "the parameter is not readable"}


def report(host: str, **more: Any) -> dict[str, Any]:
    """The answer of ssm_command after a good patch."""
    reported = {
        "operation": "Install",
        "release": RELEASE,
        "updated": ["nginx"],
        "rebooted": False,
        "pending": 0,
        **more,
    }
    return {"changed": True, "unfinished": [], "reports": {host: reported}}


MODULES = (
    "ecommerce.fleet.ssm_document",
    "ecommerce.fleet.fleet_operation",
    "ecommerce.fleet.fleet_host_state",
    "ecommerce.fleet.ssm_command",
    "ecommerce.fleet.ssm_online",
    "community.aws.ssm_parameter",
)
BEGUN = {
    "changed": True,
    "plan": ["two hosts"],
    "batches": [["i-1"], ["i-2"]],
    "zones": {"i-1": "us-east-1a", "i-2": "us-east-1b"},
    "drain_seconds": 420,
    "healthy_seconds": 240,
    "late_seconds": 540,
    "journal": {"hosts": {}},
}
SEEN = {
    "gone": False,
    "stands": "where it was found",
    "others": "1 of 1 other hosts serve",
    "host": {"lifecycle": "InService"},
}
RETURNED = ["fleet_host_state in_service i-1", "fleet_host_state read i-1", "fleet_operation stop"]
VARIABLES = {
    "fleet_region": "us-east-1",
    "fleet_name": "shop-test-al2023",
    "fleet_os": "al2023",
    "fleet_parameter_prefix": "/fleet/shop/test",
    "fleet_journal_parameter": JOURNAL,
    "fleet_tags": {},
}


@pytest.fixture
def patch(tmp_path: Path) -> StubPlay:
    moved = {"changed": True, "host": {}}
    usual = {
        "fleet_operation begin": BEGUN,
        "fleet_operation stop": {"changed": True, "journal": {}},
        "fleet_host_state read": SEEN,
        "fleet_host_state standby": moved,
        "fleet_host_state in_service": moved,
    }
    return StubPlay(tmp_path, "patch", MODULES, usual, VARIABLES, {JOURNAL: journal("running")})


def journal(status: str, started: str = "2026-11-25T09:00:00+00:00", operation: str = "patch") -> str:
    return json.dumps({"operation": operation, "subject": "Install", "status": status, "started": started})


def record(release: str, started: str = "2026-11-25T09:00:00+00:00") -> str:
    return json.dumps({"started": started, "release": release})


def stopped(played: Played) -> str:
    """The message of an operation that has stopped in order, which the journal has too."""
    assert played.code != 0
    assert "Traceback" not in played.output
    assert "has no attribute" not in played.output
    assert played.steps[-1] == "fleet_operation stop"
    reason = " ".join(str(played.named("fleet_operation")[-1]["reason"]).split())
    assert reason in played.output
    assert "resume with: ansible-playbook -i " in reason
    assert " ecommerce.fleet.patch -e @" in reason
    return reason


def test_every_host_is_drained_patched_to_one_release_and_returned(patch: StubPlay) -> None:
    played = patch.play(answers={"ssm_command": [report("i-1"), report("i-2")]})
    assert played.code == 0, played.output
    releases = [call["parameters"]["Release"] for call in played.named("ssm_command")]
    assert releases == [["latest"], [RELEASE]]
    assert json.loads(patch.parameters[RECORD]) == json.loads(record(RELEASE))
    one = [
        "fleet_host_state read",
        "fleet_operation mark standby",
        "fleet_host_state standby",
        "ssm_command",
        "fleet_host_state in_service",
        "fleet_operation mark done",
    ]
    assert [step for step in played.steps if step.endswith("i-2")] == [f"{s} i-2" for s in one if s != "ssm_command"]
    assert [call["instance_ids"] for call in played.named("ssm_online")] == [["i-1"], ["i-2"]]
    assert played.steps.index("ssm_online") < played.steps.index("fleet_operation mark standby i-1")
    assert played.steps[-1] == "fleet_operation finish"


def test_a_host_whose_agent_is_offline_is_not_drained(patch: StubPlay) -> None:
    offline = {"failed": True, "msg": "i-2 is ConnectionLost"}
    played = patch.play(answers={"ssm_command": [report("i-1")], "ssm_online": [{"changed": False}, offline]})
    reason = stopped(played)
    assert "stopped at i-2 in us-east-1b: Contact the host's agent" in reason
    assert "i-2 is ConnectionLost. Nothing was changed on it. The host is where it was found" in reason
    assert "fleet_host_state standby i-2" not in played.steps
    assert played.steps[-3:] == ["ssm_online", "fleet_host_state read i-2", "fleet_operation stop"]


def test_a_host_that_is_gone_before_its_turn_is_named_and_left_out(patch: StubPlay) -> None:
    gone = {"gone": True, "stands": "no longer in the Auto Scaling group", "others": "", "host": None}
    played = patch.play(answers={"fleet_host_state read": [gone], "ssm_command": [report("i-2")]})
    assert played.code == 0, played.output
    assert "i-1 is no longer in the Auto Scaling group: left out" in played.output
    assert [step for step in played.steps if step.endswith("i-1")] == ["fleet_host_state read i-1"]
    assert played.steps[-1] == "fleet_operation finish"


def test_hosts_that_were_launched_meanwhile_are_named_once_the_others_are_patched(patch: StubPlay) -> None:
    late = {"failed": True, "msg": "launched meanwhile, or never reached: i-3"}
    played = patch.play(answers={"ssm_command": [report("i-1"), report("i-2")], "fleet_operation finish": [late]})
    reason = stopped(played)
    assert (
        "patch (Install) stopped after its last step: Close the journal: launched meanwhile, or never reached: i-3"
        in reason
    )
    assert f"fleet_patch_release={RELEASE}" in reason


def test_the_worst_case_that_is_told_has_room_for_every_wait_of_a_command() -> None:
    """Another limit of the document, or another wait, must change what the plan says and how long the fleet is held."""
    play = yaml.safe_load((COLLECTION / "playbooks/patch.yml").read_text())[1]
    options = yaml.safe_load(ssm_command.DOCUMENTATION)["options"]
    document = (COLLECTION / "ssm/patch.yml").read_text()
    (execution,) = re.findall(r'timeoutSeconds: "(\d+)"', document)
    command = options["delivery_seconds"]["default"] + int(execution) + run_command.REPORT_SECONDS
    contact = yaml.safe_load(ssm_online.DOCUMENTATION)["options"]["wait_seconds"]["default"]
    afterwards = max(run_command.READ_SECONDS, run_command.CANCEL_SECONDS)
    assert play["vars"]["fleet_work_seconds"] >= contact + command + afterwards


def test_a_host_whose_patch_fails_goes_back_to_service_and_the_message_has_the_command_that_resumes(
    patch: StubPlay,
) -> None:
    failed = {"failed": True, "msg": "document fleet-patch-host on i-2: Failed: dead repository", "unfinished": []}
    played = patch.play(answers={"ssm_command": [report("i-1"), failed]}, fleet_reboot_option="NoReboot")
    reason = stopped(played)
    assert "patch (Install) stopped at i-2 in us-east-1b: Run the patch document on the host: document" in reason
    assert "dead repository" in reason
    assert "The host is where it was found; 1 of 1 other hosts serve" in reason
    assert "-e fleet_reboot_option=NoReboot -e fleet_os=al2023 -e fleet_patch_operation=Install" in reason
    assert f"-e fleet_patch_release={RELEASE}" in reason
    assert played.steps[-3:] == [step.replace("i-1", "i-2") for step in RETURNED]


@pytest.mark.parametrize(
    "failed",
    [
        {
            "failed": True,
            "msg": "not so after 3780 s; it was cancelled then, but is still running",
            "unfinished": ["i-1"],
        },
        {"failed": True, "msg": "MODULE FAILURE"},
    ],
)
def test_a_host_whose_command_may_still_be_running_stays_in_standby(patch: StubPlay, failed: dict[str, Any]) -> None:
    played = patch.play(answers={"ssm_command": [failed]})
    reason = stopped(played)
    assert failed["msg"] in reason
    assert "fleet_host_state in_service i-1" not in played.steps
    assert len(played.named("ssm_command")) == 1


def test_a_host_found_in_standby_stays_there_while_nothing_says_that_an_earlier_command_has_ended(
    patch: StubPlay,
) -> None:
    seen = {**SEEN, "host": {"lifecycle": "Standby"}}
    played = patch.play(answers={"fleet_host_state read": [seen], "fleet_host_state standby": [BROKEN]})
    assert "stopped at i-1 in us-east-1a: Move to Standby" in stopped(played)
    assert "fleet_host_state in_service i-1" not in played.steps


def test_a_host_that_does_not_get_healthy_stays_in_standby(patch: StubPlay) -> None:
    unhealthy = {"failed": True, "msg": "not healthy after 90 s"}
    answers = {"ssm_command": [report("i-1")], "fleet_host_state in_service": [unhealthy, unhealthy]}
    played = patch.play(answers=answers)
    assert "(not healthy after 90 s)" in stopped(played)
    assert played.steps[-3:] == [
        "fleet_host_state standby i-1",
        "fleet_host_state read i-1",
        "fleet_operation stop",
    ]


@pytest.mark.parametrize(
    ("answers", "where"),
    [
        ({"fleet_host_state standby": [{"failed": True, "msg": "not drained after 120 s"}]}, "Move to Standby"),
        ({"ssm_command": [report("i-1")], "ssm_parameter": [BROKEN]}, "Record the release"),
        ({"ssm_command": [report("i-1")], "fleet_operation mark": [{"changed": True}, BROKEN]}, "Note that the host is done"),
    ],
)  # fmt: skip
def test_whatever_else_fails_at_a_host_it_is_restored_and_the_operation_stops(
    patch: StubPlay, answers: dict[str, list[Any]], where: str
) -> None:
    played = patch.play(answers=answers)
    reason = stopped(played)
    assert f"stopped at i-1 in us-east-1a: {where}" in reason
    assert played.steps[-3:] == RETURNED


def test_a_patch_that_is_resumed_goes_on_with_its_release_and_refuses_another(patch: StubPlay) -> None:
    patch.parameters |= {JOURNAL: journal("stopped"), RECORD: record(RELEASE)}
    played = patch.play(fleet_patch_release="2023.9.20260301")
    assert f"brings every host to release {RELEASE}, but fleet_patch_release is 2023.9.20260301" in played.output
    assert played.calls == []
    played = patch.play(answers={"ssm_command": [report("i-1"), report("i-2")]})
    assert [call["parameters"]["Release"] for call in played.named("ssm_command")] == [[RELEASE]] * 2


@pytest.mark.parametrize(
    ("known", "variables"),
    [
        ({JOURNAL: journal("finished"), RECORD: record("2023.8.20250707")}, {}),
        ({JOURNAL: journal("stopped"), RECORD: record("2023.8.20250707", "2025-07-08T09:00:00+00:00")}, {}),
        ({JOURNAL: journal("stopped"), RECORD: record("2023.8.20250707")}, {"fleet_force": True}),
    ],
)
def test_the_release_of_another_patch_is_not_taken(
    patch: StubPlay, known: dict[str, str], variables: dict[str, Any]
) -> None:
    patch.parameters |= known
    played = patch.play(answers={"ssm_command": [report("i-1"), report("i-2")]}, **variables)
    assert played.named("ssm_command")[0]["parameters"]["Release"] == ["latest"]
    assert json.loads(patch.parameters[RECORD])["release"] == RELEASE


def test_amazon_linux_2_has_no_release_to_keep(patch: StubPlay) -> None:
    answers = [report(host, release="") for host in HOSTS]
    played = patch.play(answers={"ssm_command": answers}, fleet_os="al2")
    assert played.code == 0, played.output
    assert played.named("ssm_parameter") == []


def test_with_check_nothing_is_done_and_nothing_fails(patch: StubPlay) -> None:
    played = patch.play("--check")
    assert played.code == 0, played.output
    assert played.steps == ["ssm_document", "fleet_operation begin"]


MEMBERS = {"fleet_patch_operation": "Scan", "fleet_inventory": {"members": ["i-1", "i-2"]}}


def test_a_scan_asks_all_hosts_at_once_and_takes_none_out_of_service(patch: StubPlay) -> None:
    reports = {**report("i-1", pending=3)["reports"], **report("i-2")["reports"]}
    played = patch.play(answers={"ssm_command": [{"changed": True, "reports": reports}]}, **MEMBERS)
    assert played.code == 0, played.output
    assert played.steps == ["ssm_document", "ssm_command"]
    asked = played.named("ssm_command")[0]
    assert (asked["instance_ids"], asked["parameters"]["Operation"]) == (["i-1", "i-2"], ["Scan"])
    assert '"pending": 3' in played.output


def test_a_scan_of_more_hosts_than_one_command_takes_shows_all_reports(patch: StubPlay) -> None:
    hosts = [f"i-{n}" for n in range(51)]
    answers = [{"reports": report("i-0", pending=5)["reports"]}, {"reports": report("i-50", pending=7)["reports"]}]
    played = patch.play(
        answers={"ssm_command": answers}, fleet_patch_operation="Scan", fleet_inventory={"members": hosts}
    )
    assert played.code == 0, played.output
    assert [len(call["instance_ids"]) for call in played.named("ssm_command")] == [50, 1]
    assert '"pending": 5' in played.output
    assert '"pending": 7' in played.output


def test_a_host_that_cannot_be_scanned_is_named_and_the_others_are_shown(patch: StubPlay) -> None:
    failed = {"failed": True, "msg": "command c-1 failed on i-2: Undeliverable", **report("i-1", pending=3)}
    played = patch.play(answers={"ssm_command": [failed]}, **MEMBERS)
    assert played.code != 0
    assert '"pending": 3' in played.output
    assert "not known of every host: command c-1 failed on i-2: Undeliverable. Nothing was changed" in played.output


def test_a_scan_of_a_group_without_hosts_is_an_error(patch: StubPlay) -> None:
    played = patch.play(fleet_patch_operation="Scan", fleet_inventory={"members": []})
    assert played.code != 0
    assert "no host of shop-test-al2023 in us-east-1 is in service" in played.output


def test_a_scan_with_check_asks_no_host(patch: StubPlay) -> None:
    played = patch.play("--check", **MEMBERS)
    assert played.code == 0, played.output
