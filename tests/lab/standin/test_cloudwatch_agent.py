"""The stand-in of the CloudWatch agent: its checker, its reading of log files, its requests. No machine needed."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

LIBRARY = Path(__file__).resolve().parents[3] / "lab/standin/agents/cloudwatch/root/opt/aws/amazon-cloudwatch-agent/lib"
sys.path.insert(0, str(LIBRARY))

from cloudwatch_standin import aws, config, tail  # noqa: E402

GOOD: dict[str, Any] = {
    "metrics": {"metrics_collected": {"mem": {"measurement": ["mem_used_pct"]}}},
    "logs": {
        "logs_collected": {
            "files": {"collect_list": [{"file_path": "/var/log/a.log", "log_group_name": "g", "retention_in_days": 30}]}
        }
    },
}


def translate(folder: Path, document: Any, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))
    code = "import sys; from cloudwatch_standin.translator import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["--input", folder / "config.json", "--output", folder / "out.toml", "--mode", "ec2", *options]
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=LIBRARY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_good_configuration_is_translated_even_with_a_misspelled_measurement(tmp_path: Path) -> None:
    assert translate(tmp_path, GOOD).returncode == 0
    assert json.loads((tmp_path / "amazon-cloudwatch-agent.yaml").read_text()) == GOOD


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "unable to parse"),
        ({"agent": {}}, "none of metrics, logs and traces"),
        ({"logs": {"log_collected": {}}}, "Additional property log_collected is not allowed"),
        ({"metrics": {"metrics_collected": {}}}, "Must have at least 1 property"),
        ({"metrics": {"metrics_collected": {"mem": {"measurement": []}}}}, "at least 1 items"),
        ({"metrics": {"metrics_collected": {"procstat": [{"measurement": ["pid"]}]}}}, "one and only one schema"),
        (
            {"logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/a", "retention_in_days": 31}]}}}},
            "31 is not one of",
        ),
        ({"logs": {"logs_collected": {"files": {"collect_list": [{"log_group_name": "g"}]}}}}, "file_path is required"),
    ],
)
def test_a_wrong_configuration_is_refused_and_nothing_is_written(tmp_path: Path, document: Any, message: str) -> None:
    refused = translate(tmp_path, document)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert not (tmp_path / "out.toml").exists()


def test_two_retentions_for_one_group_are_refused() -> None:
    entries = [
        {"file_path": path, "log_group_name": "g", "retention_in_days": days} for path, days in (("/a", 30), ("/b", 7))
    ]
    problems = config.problems({"logs": {"logs_collected": {"files": {"collect_list": entries}}}})
    assert len(problems) == 1
    assert "same log group" in problems[0]


def test_no_configuration_has_its_own_exit_code(tmp_path: Path) -> None:
    assert translate(tmp_path, GOOD, "--multi-config", "default").returncode == 99


class Follower:
    """What one run of the agent ships of an entry."""

    def __init__(self, path: Path, state: Path, **options: Any) -> None:
        self.source = tail.Source(path=str(path), group="g", stream="s", retention_days=-1, **options)
        self.state = tail.State(state)

    def read(self) -> list[tail.Tail]:
        tails = self.source.look(self.state)
        for each in tails:
            each.poll()
        return tails

    def messages(self) -> list[str]:
        return [message for messages in self.streams().values() for message in messages]

    def streams(self) -> dict[str, list[str]]:
        """Stream → its new messages; they are shipped."""
        new: dict[str, list[str]] = {}
        for each in self.read():
            new.setdefault(each.stream, []).extend(event["message"] for event in each.pending)
            each.shipped()
            self.state.save(each)
        return {stream: messages for stream, messages in new.items() if messages}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_file_is_read_from_its_beginning_and_only_whole_lines(tmp_path: Path, state: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\nthr")
    follower = Follower(log, state)
    assert follower.messages() == ["one", "two"]
    with log.open("a") as more:
        more.write("ee\n")
    assert follower.messages() == ["three"]


def test_a_rotated_file_is_read_to_its_end_before_the_new_one(tmp_path: Path, state: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    follower = Follower(log, state)
    assert follower.messages() == ["one"]
    with log.open("a") as more:
        more.write("two\n")
    log.rename(tmp_path / "a.log.1")
    assert follower.messages() == ["two"]
    log.write_text("three\n")
    assert follower.messages() + follower.messages() == ["three"]


def test_a_truncated_file_is_read_again(tmp_path: Path, state: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a long first line\n")
    follower = Follower(log, state)
    follower.messages()
    log.write_text("new\n")
    assert follower.messages() == ["new"]


def test_a_restart_goes_on_where_the_last_run_ended(tmp_path: Path, state: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    Follower(log, state).messages()
    with log.open("a") as more:
        more.write("two\n")
    assert Follower(log, state).messages() == ["two"]


def test_what_was_not_shipped_is_not_skipped(tmp_path: Path, state: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    first = Follower(log, state)
    for each in first.read():
        first.state.save(each)
    assert Follower(log, state).messages() == ["one"]


def two_files(folder: Path) -> Path:
    """A glob that matches an older file, a newer one, a compressed one and a directory."""
    for number, name in enumerate(("3000.log", "3001.log", "3002.log.gz")):
        (folder / name).write_text(f"of {name}\n")
        os.utime(folder / name, (number, number))
    (folder / "old.log").mkdir()
    return folder / "*.log*"


def test_of_a_glob_only_the_newest_file_is_shipped(tmp_path: Path, state: Path) -> None:
    follower = Follower(two_files(tmp_path), state)
    assert follower.streams() == {"s": ["of 3001.log"]}
    with (tmp_path / "3001.log").open("a") as more:
        more.write("again\n")
    assert follower.streams() == {"s": ["again"]}


def test_every_file_of_a_glob_is_shipped_to_a_stream_of_its_own_when_asked_for(tmp_path: Path, state: Path) -> None:
    follower = Follower(two_files(tmp_path), state, publish_multi_logs=True)
    streams = {f"s_{tmp_path}/{name}".replace("/", "_"): [f"of {name}"] for name in ("3000.log", "3001.log")}
    assert follower.streams() == streams
    (tmp_path / "3003.log").write_text("late\n")
    assert list(follower.streams().values()) == [["late"]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["2026-01-02 failed\n  at a\n  at b", "next"]),
        ({"multi_line_start_pattern": r"^\d{4}"}, ["2026-01-02 failed\n  at a\n  at b\nnext"]),
        (
            {"multi_line_start_pattern": "{timestamp_format}", "timestamp_format": "%Y-%m-%d"},
            ["2026-01-02 failed\n  at a\n  at b\nnext"],
        ),
    ],
)
def test_lines_that_begin_no_event_belong_to_the_one_before(
    tmp_path: Path, state: Path, options: dict[str, str], expected: list[str]
) -> None:
    log = tmp_path / "a.log"
    log.write_text("2026-01-02 failed\n  at a\n  at b\nnext\n")
    assert Follower(log, state, **options).messages() == expected


def test_a_pattern_that_can_not_be_compiled_is_an_error(tmp_path: Path, state: Path) -> None:
    with pytest.raises(re.error):
        Follower(tmp_path, state, multi_line_start_pattern="[")


@pytest.mark.parametrize(
    ("line", "form", "expected"),
    [
        ("2026-03-04T05:06:07 hello", "%Y-%m-%dT%H:%M:%S", 1_772_600_767_000),
        ('{"time":"2026-03-04T05:06:07+0100"}', "%Y-%m-%dT%H:%M:%S%z", 1_772_597_167_000),
    ],
)
def test_the_time_of_a_line_is_the_one_that_it_names(line: str, form: str, expected: int) -> None:
    assert tail.moment(line, form, utc=True) == expected


def test_a_line_without_a_time_has_the_time_of_reading() -> None:
    assert abs(tail.moment("hello", "%Y-%m-%d", utc=True) - time.time() * 1000) < 5000
    # The agent knows no offset with a colon.
    line = "2026-03-04T05:06:07+01:00"
    assert abs(tail.moment(line, "%Y-%m-%dT%H:%M:%S%z", utc=True) - time.time() * 1000) < 5000


def test_requests_are_signed_as_the_aws_sdk_signs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    moment, body = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), b'{"a":1}'
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None))
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Logs_20140328.PutLogEvents"}
    request = botocore.awsrequest.AWSRequest("POST", "http://10.0.0.1:4566/", data=body, headers=headers)
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("AKIA", "secret", "token"), "logs", "us-east-1").add_auth(
        request
    )
    ours = aws.signed(
        aws.Credentials("AKIA", "secret", "token", moment),
        "us-east-1",
        {key.lower(): value for key, value in headers.items()}
        | {"host": "10.0.0.1:4566", "x-amz-date": "20260101T000000Z"},
        body,
        service="logs",
    )
    assert ours["authorization"] == request.headers["Authorization"]
