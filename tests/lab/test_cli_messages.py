"""What the `lab` command says where there is no lab, or not the one that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import listing
from lab.cli import EPILOG, _parser, main
from lab.daemon import lifecycle
from lab.settings import Settings
from tests.support.running_lab import lab_command


def test_help_shows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for command in ("up", "status", "list", "run", "shell", "ssh", "open", "advisory", "logs", "down"):
        assert f"\n    {command} " in shown
    assert "serve" not in shown


def test_the_examples_of_the_help_are_commands_of_this_lab() -> None:
    lines = [line.split("  ")[1].strip() for line in EPILOG.splitlines() if line.startswith("  lab ")]
    assert len(lines) > 5
    for line in lines:
        words = line.split()[1:]
        arguments = _parser().parse_args(words)
        # What stands for something of the reader's own is in capitals; no made-up name is offered as if it were there.
        host = getattr(arguments, "host", None)
        assert host is None or host == "HOST", line


def test_down_says_that_there_is_no_such_lab(tmp_path: Path) -> None:
    absent = Settings("absent", tmp_path / "state", tmp_path / "cache")
    done = lab_command(absent, ["down"])
    assert done.returncode == 0, "scripts may say it twice"
    assert "there is no lab 'absent'; those that there are: lab list" in done.stderr
    assert " is down" not in done.stderr
    absent.state.mkdir()
    (absent.state / lifecycle.MARK).touch()
    assert "lab 'absent' is down" in lab_command(absent, ["down"]).stderr
    assert not absent.state.exists()


def test_logs_name_what_is_not_there(tmp_path: Path) -> None:
    killed = Settings("killed", tmp_path / "state", tmp_path / "cache")
    assert lab_command(killed, ["logs"]).stderr == "lab: The lab 'killed' is not up\n  Start it: `lab up`.\n"
    console = killed.machines_dir / "i-0aaaaaaaaaaaaaaaa" / "console.log"
    console.parent.mkdir(parents=True)
    console.write_text("Welcome\n")
    for host in ("i-123", "../machines/i-0aaaaaaaaaaaaaaaa"):
        done = lab_command(killed, ["logs", host])
        assert done.returncode == 1
        assert done.stderr == f"lab: The lab has no machine {host!r}\n  There are: i-0aaaaaaaaaaaaaaaa.\n"
    assert lab_command(killed, ["logs", "i-0aaaaaaaaaaaaaaaa"]).stdout == "Welcome\n"
    assert "There is no log" in lab_command(killed, ["logs"]).stderr


def test_list_shows_what_a_killed_lab_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "STATES", tmp_path / "states")
    for name in ("one", "two"):
        (tmp_path / "states" / name).mkdir(parents=True)
        (tmp_path / "states" / name / lifecycle.MARK).touch()
    (tmp_path / "states" / "notalab").mkdir()
    own = Settings("mine", tmp_path / "elsewhere", tmp_path / "cache")
    own.state.mkdir()
    (own.state / lifecycle.MARK).touch()
    labs = dict(listing.known_labs(own))
    assert {"one", "two", "mine"} <= set(labs) and "notalab" not in labs
    assert f"not up; {own.state} is left of it" in labs["mine"]
