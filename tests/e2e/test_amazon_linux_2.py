"""The demo passes its own checks on Amazon Linux 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.demo_fleet import DemoLab, Fleet, Prepared

pytestmark = pytest.mark.e2e


def test_three_hosts_serve_from_three_zones(summary: dict[str, Any]) -> None:
    assert summary["hosts"] == 3
    assert summary["zones"] == {"us-east-1a": 1, "us-east-1b": 1, "us-east-1c": 1}


def test_the_image_is_published_in_both_regions_and_its_copy_boots_and_answers(summary: dict[str, Any]) -> None:
    assert set(summary["images"]) == {"us-east-1", "us-west-2"}
    assert summary["dr_host_answered"] is True


def test_the_second_run_of_site_changes_nothing(summary: dict[str, Any]) -> None:
    assert summary["second_run_changed"] == 0


def test_no_request_fails_and_no_answer_is_wrong_while_the_fleet_rolls_and_patches(summary: dict[str, Any]) -> None:
    assert summary["requests_total"] >= 10_000
    assert (summary["requests_failed"], summary["requests_wrong"]) == (0, 0)


def test_every_host_gets_the_security_update_and_restarts_what_used_the_old_files(summary: dict[str, Any]) -> None:
    assert summary["patched_hosts"] == 3
    for report in summary["patched"].values():
        assert report["updated"]
        assert report["rebooted"] or "nginx.service" in report["restarted"]


def test_the_hosts_give_their_metadata_to_nobody_behind_them(unchanged_fleet: Fleet) -> None:
    hosts = unchanged_fleet.aws(
        "ec2", "describe-instances", "--filters", f"Name=tag:aws:autoscaling:groupName,Values={unchanged_fleet.name}",
        "--query", "Reservations[].Instances[].MetadataOptions.[HttpTokens,HttpPutResponseHopLimit]",
    )  # fmt: skip
    assert len(hosts) >= 3
    assert [options for options in hosts if options != ["required", 1]] == []


def test_the_report_shows_every_step_and_the_latency_of_the_requests(prepared: Prepared) -> None:
    page = (prepared.lab.out / "report.html").read_text()
    assert page.count("<svg") == 4, "two charts, each for a wide and a narrow window"
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_an_unknown_os_is_refused_before_anything_starts(tmp_path: Path) -> None:
    lab = DemoLab(tmp_path / "out")
    done = lab.run(*lab.demo("al3"), timeout=60)
    assert done.returncode == 1
    assert "unknown OS 'al3'; use OS=al2" in done.stderr
    assert "Traceback" not in done.stderr
    assert not lab.out.exists()
