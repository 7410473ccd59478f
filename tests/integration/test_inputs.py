"""Playbooks as a person starts them, as far as they come without a machine, in an account that has records only.

Wrong input is refused before anything changes, and --check is a plan that changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.moto_account import DR_REGION, NAME, PREFIX, Account, told

NO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A network, a release and an image; no fleet."""
    account = Account(tmp_path_factory.mktemp("empty"))
    try:
        account.set_up()
        yield account
    finally:
        account.stop()


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The same with a fleet of three hosts."""
    account = Account(tmp_path_factory.mktemp("launched"))
    try:
        account.set_up()
        account.launch()
        yield account
    finally:
        account.stop()


def refused(
    account: Account, playbook: str, *arguments: str, environment: dict[str, str] | None = None, **variables: Any
) -> str:
    """What is told by a run that must fail and change nothing."""
    before = account.records()
    done = account.play(playbook, *arguments, environment=environment, **variables)
    assert done.returncode != 0, done.stdout
    assert account.records() == before
    assert "Traceback" not in done.stdout + done.stderr
    return told(done)


def planned(account: Account, playbook: str, **variables: Any) -> str:
    """What is told by a check run, which must end well and change nothing."""
    before = account.records()
    done = account.play(playbook, "--check", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert account.records() == before
    return told(done)


def test_all_wrong_inputs_are_told_at_once(empty: Account) -> None:
    wrong = {"fleet_min_size": "abc", "hardening_levl": 2, "fleet_in_use": {"port": [9100]}, "fleet_os": "amazonlinux2"}
    text = refused(empty, "fleet", fleet_region="us-esat-1", **wrong)
    for part in (
        "fleet_min_size is 'abc'",
        "no variable hardening_levl (did you mean hardening_level?)",
        "fleet_in_use has no key 'port' (did you mean ports?)",
        "al2, al2023, got: amazonlinux2",
        "fleet_region is 'us-esat-1'",
        "Nothing was changed.",
    ):
        assert part in text


def test_values_of_roles_exceptions_and_overrides_are_refused_before_a_host_is_contacted(launched: Account) -> None:
    text = refused(
        launched,
        "site",
        nginx_port="eighty",
        nginx_worker_connections="{{ fleet_nmae }}",
        app_runtime_secrets="abc",
        hardening_exceptions=[{"control": "no-such", "reason": "r", "owner": "o", "expires": "2999-01-01"}],
    )
    assert "nginx_port is 'eighty'; allowed: int." in text
    assert "app_runtime_secrets is 'abc'; allowed: a list." in text
    assert (
        "nginx_worker_connections can't be evaluated: there is no variable fleet_nmae (did you mean fleet_name?)"
        in text
    )
    assert "hardening_exceptions, entry 1: there is no control no-such" in text
    assert "unreachable=0" in text


def test_an_image_is_not_tested_with_a_wrong_override(launched: Account) -> None:
    assert "there is no control no-such" in refused(launched, "publish_image", hardening_overrides={"no-such": {}})


def test_no_host_can_be_chosen_where_that_makes_no_sense(launched: Account) -> None:
    host = launched.records()["groups"][0]["Instances"][0]["InstanceId"]
    assert "works on the whole fleet" in refused(launched, "roll", "--limit", host, fleet_release_version="1.1.0")


def test_a_limit_does_not_leave_out_the_check_of_the_account(launched: Account) -> None:
    host = launched.records()["groups"][0]["Instances"][0]["InstanceId"]
    text = refused(launched, "site", "--limit", host, fleet_account_id="999999999999")
    assert "belong to account 123456789012, but inventory test is for account 999999999999" in text


def test_a_tag_that_matches_nothing_is_refused(launched: Account) -> None:
    assert "did you mean nginx?" in refused(launched, "site", "--tags", "ngnix")


@pytest.mark.parametrize(
    ("playbook", "arguments"),
    [
        ("patch", ["--skip-tags", "always"]),
        ("fleet", ["--start-at-task", "Define the target group"]),
    ],
)
def test_nothing_begins_without_the_check(launched: Account, playbook: str, arguments: list[str]) -> None:
    assert "has not checked its inputs" in refused(launched, playbook, *arguments)


def test_missing_credentials_are_told_with_the_remedy(launched: Account) -> None:
    text = refused(launched, "site", environment=NO_CREDENTIALS, fleet_credentials_hint="Log in first.")
    assert "Unable to locate credentials. Nothing was changed. Log in first." in text


def test_an_inventory_without_web_hosts_is_refused_and_names_those_whose_tag_is_misspelt(empty: Account) -> None:
    odd = empty.host(role="Web ")
    text = refused(empty, "audit")
    assert f"{odd} has the tag Role='Web '" in text
    assert "no host in group web" in text


def test_a_fleet_that_is_not_there_is_told_with_those_that_are(launched: Account) -> None:
    text = refused(launched, "patch", fleet_os="al2")
    assert (
        f"there is no Auto Scaling group 'shop-test-al2' in this region; there are {NAME}. Set fleet_name (of which fleet_os"
        in text
    )


def test_an_inventory_that_can_not_be_read_is_refused(launched: Account, tmp_path: Path) -> None:
    (tmp_path / "more.yml").write_text("- not an inventory\n")
    text = refused(launched, "patch", "-i", str(tmp_path / "more.yml"))
    assert "more.yml could not be read" in text


def test_the_check_of_a_roll_is_its_plan(launched: Account) -> None:
    text = planned(launched, "roll", fleet_release_version="1.1.0")
    assert "3 of 3 hosts in 3 steps" in text
    assert "This is the plan only (--check). Nothing was changed." in text


def test_the_check_of_a_patch_is_its_plan(launched: Account) -> None:
    text = planned(launched, "patch")
    assert "This is the plan only (--check). Nothing was changed." in text
    assert "msg: {}" not in text


def test_the_check_of_a_scan_names_the_hosts_that_would_be_asked(launched: Account) -> None:
    text = planned(launched, "patch", fleet_patch_operation="Scan")
    hosts = [host["InstanceId"] for host in launched.records()["groups"][0]["Instances"]]
    assert f"Would ask {', '.join(sorted(hosts))}. This is the plan only (--check). Nothing was changed." in text


def test_the_check_of_a_launch_is_its_plan(empty: Account, launched: Account) -> None:
    for account, target_group in ((empty, "would be created"), (launched, "is there")):
        text = planned(account, "fleet")
        assert f"Target group {NAME}: {target_group}" in text
        assert re.search(f"Auto Scaling group {NAME}, 2 to 6 hosts, 3 desired: {target_group}", text)
        assert "This is the plan only (--check). Nothing was changed." in text


def test_the_check_of_a_publication_uploads_nothing(empty: Account, tmp_path: Path) -> None:
    file = tmp_path / "shop-2.0.0.tar.gz"
    file.write_bytes(b"shop")
    release = {"fleet_release_version": "2.0.0", "fleet_release_kind": "nodejs", "fleet_release_file": str(file)}
    planned(empty, "publish_release", **release, fleet_release_sha256=hashlib.sha256(b"shop").hexdigest())


def test_a_version_that_is_published_is_not_replaced_by_another_archive(empty: Account, tmp_path: Path) -> None:
    file = tmp_path / "shop-1.1.0.tar.gz"
    file.write_bytes(b"another shop")
    release = {"fleet_release_version": "1.1.0", "fleet_release_kind": "nodejs", "fleet_release_file": str(file)}
    text = refused(
        empty, "publish_release", **release, fleet_release_sha256=hashlib.sha256(b"another shop").hexdigest()
    )
    assert (
        f"Release 1.1.0 is published in us-east-1 with other archives (sha256 {'0' * 64}). Nothing was uploaded" in text
    )
    # The same again only goes on with what a run that was cut off may have left out.
    file.write_bytes(b"third")
    digest = hashlib.sha256(b"third").hexdigest()
    known = {"version": "3.0.0", "kind": "nodejs", "url": "s3://elsewhere/shop.tar.gz", "sha256": digest}
    empty.client("ssm").put_parameter(Name=f"{PREFIX}/releases/3.0.0", Value=json.dumps(known), Type="String")
    release["fleet_release_version"] = "3.0.0"
    done = empty.play("publish_release", **release, fleet_release_sha256=digest)
    assert done.returncode == 0, done.stdout
    there = empty.client("ssm", DR_REGION).get_parameter(Name=f"{PREFIX}/releases/3.0.0")["Parameter"]["Value"]
    assert json.loads(there)["sha256"] == digest


def test_a_parameter_that_somebody_has_spoiled_is_told_by_its_name(launched: Account) -> None:
    ssm = launched.client("ssm")
    ssm.put_parameter(Name=f"{PREFIX}/releases/1.2.0", Value='{"version": "1.2.0", "kind": "nodejs"}', Type="String")
    text = refused(launched, "roll", fleet_release_version="1.2.0")
    assert f"Parameter {PREFIX}/releases/1.2.0 is no release: missing required arguments: sha256, url" in text
    journal = f"{PREFIX}/al2023/operation"
    ssm.put_parameter(Name=journal, Value="2.4.1", Type="String")
    try:
        assert f"Parameter {journal} is no JSON object" in refused(launched, "patch")
    finally:
        ssm.delete_parameter(Name=journal)


def test_init_is_refused_for_a_misspelt_variable_and_its_check_copies_nothing(empty: Account, tmp_path: Path) -> None:
    assert "did you mean fleet_directory?" in refused(empty, "init", fleet_directroy=str(tmp_path / "fleet"))
    planned(empty, "init", fleet_directory=str(tmp_path / "fleet"))
    assert not (tmp_path / "fleet").exists()
