from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from demo.console import Screen, StepFailedError
from demo.flow import changed
from demo.load import verdict_of
from lab.commands import _progress

VERSIONS = frozenset({"1.0.0", "1.1.0"})


def test_an_answer_of_a_known_release_is_right() -> None:
    body = json.dumps({"version": "1.1.0", "host": "ip-10-0-16-4", "pid": 1})
    assert verdict_of("/version", 200, body, VERSIONS) == ("ok", "1.1.0", "ip-10-0-16-4")


@pytest.mark.parametrize("body", ['{"version": "0.9"', '{"version": "9.9.9", "host": "x"}', "<html></html>"])
def test_a_200_that_is_not_the_shop_is_wrong(body: str) -> None:
    assert verdict_of("/version", 200, body, VERSIONS)[0] == "wrong"


def test_a_page_that_was_cut_short_is_wrong() -> None:
    assert verdict_of("/", 200, "<html>release 1.0.0", VERSIONS)[0] == "wrong"


def test_anything_but_200_is_failed() -> None:
    assert verdict_of("/", 503, "", VERSIONS)[0] == "failed"


def test_changes_are_counted_on_hosts_and_not_on_the_control_node() -> None:
    recap = (
        "i-1 : ok=9 changed=2 unreachable=0 failed=0 skipped=0\ni-2 : ok=9 changed=1 unreachable=0 failed=0\n"
        "localhost : ok=2 changed=4 unreachable=0 failed=0"
    )
    assert changed(recap) == 3


def test_a_playbook_that_reached_no_host_is_not_zero_changes() -> None:
    with pytest.raises(StepFailedError, match="nothing was configured"):
        changed("localhost : ok=2 changed=0 unreachable=0 failed=0")


def test_a_failing_command_ends_the_step_with_its_output_and_log(tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match=r"exit code 3[\s\S]*no such thing"):
        Screen().run("try", ["sh", "-c", "echo no such thing; exit 3"], tmp_path / "try.log", timeout=10)
    assert (tmp_path / "try.log").read_text() == "no such thing\n"


@pytest.mark.parametrize(
    ("line", "news"),
    [
        ("lab    0.5 s  building the base image of al2023", "building the base image of al2023"),
        ("lab  105.2 s  network fleet-lab", "network fleet-lab"),
        ("TASK [ecommerce.fleet.nginx : Reload nginx] *********", "ecommerce.fleet.nginx : Reload nginx"),
        (
            "    amazon-ebs.web: TASK [ecommerce.fleet.system : Set the time zone] ***",
            "ecommerce.fleet.system : Set the time zone",
        ),
        ("==> amazon-ebs.web: Waiting for AMI to become ready...", "Waiting for AMI to become ready..."),
    ],
)
def test_a_line_that_says_what_is_going_on_is_shown_with_the_seconds(line: str, news: str) -> None:
    screen = Screen()
    with screen.step("try", "Try it"):
        screen.news(line)
        screen.news("ok: [i-1]")
        (shown,) = [str(screen.now().text)]
    assert shown == f"Try it  0 s  {news}"


def test_what_the_lab_really_prints_is_news(capsys: pytest.CaptureFixture[str]) -> None:
    _progress()("building the base image")
    screen = Screen()
    screen.news(capsys.readouterr().err.rstrip("\n"))
    assert str(screen.now().text).endswith("building the base image")


def test_a_command_that_hangs_without_a_word_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(StepFailedError, match="not finished after 1 s"):
        Screen().run("try", ["sleep", "30"], tmp_path / "try.log", timeout=1)
    assert time.monotonic() - begun < 10
