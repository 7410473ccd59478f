"""The hardening audit by Run Command, with this machine's shell in the host's place."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._image import audit
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.checks import check_controls, failed, score
from ansible_collections.ecommerce.fleet.plugins.module_utils._image.plan import ImageError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening import task

Run = Callable[[str], str]
SCRIPT = (task.COLLECTION / "ssm/scripts/image_audit.sh").read_text()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a script as Run Command does: nothing of it may be longer than a command carries or prints."""
    monkeypatch.setattr(audit, "FOLDER", str(tmp_path / "audit"))

    def here(script: str) -> str:
        assert len(script) < 24_000
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise ImageError(f"the hardening audit ended with Failed: {done.stderr}")
        assert len(done.stdout) <= 24_000
        return done.stdout

    return here


def packed(main: str) -> str:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("__main__.py", main)
    return base64.b64encode(zlib.compress(buffer.getvalue())).decode()


def answering(answer: Any) -> str:
    """A program that answers this, whatever the host."""
    output = base64.b64encode(zlib.compress(json.dumps(answer).encode())).decode()
    return packed(f"print({output!r})")


def test_the_engine_goes_there_in_pieces_and_the_whole_register_is_evaluated(run: Run) -> None:
    program = task.program(task.read({"level": 2}))
    assert len(program) > 2 * audit.PIECE
    # This machine is no Amazon Linux, and the engine says so: it ran.
    with pytest.raises(ImageError, match="the controls are written for Amazon Linux"):
        audit.audit(run, program, SCRIPT)
    assert not Path(audit.FOLDER).exists()


def test_a_long_answer_comes_back_whole(run: Run) -> None:
    # Digits that do not compress, so that the answer needs several pieces.
    answer = {"results": [{"id": str(number * 7919**9), "status": "pass"} for number in range(3000)]}
    assert audit.audit(run, answering(answer), SCRIPT) == answer


def test_a_piece_that_was_lost_on_the_way_there_is_noticed(run: Run) -> None:
    def losing(script: str) -> str:
        return "" if "printf %s" in script and "mkdir" not in script else run(script)

    with pytest.raises(ImageError, match="ended with Failed"):
        audit.audit(losing, task.program(task.read({})), SCRIPT)


def test_a_piece_that_was_lost_on_the_way_back_is_noticed(run: Run) -> None:
    def losing(script: str) -> str:
        return "" if script.startswith("tail") else run(script)

    with pytest.raises(ImageError, match="did not come back whole"):
        audit.audit(losing, answering({"results": []}), SCRIPT)


def test_a_program_that_breaks_is_named_with_its_words(run: Run) -> None:
    with pytest.raises(ImageError, match="no such thing"):
        audit.audit(run, packed("raise SystemExit('no such thing')"), SCRIPT)


def test_the_program_evaluates_its_controls_without_changing_anything(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID="amzn"\nVERSION_ID="2"\n')
    (tmp_path / "etc/issue").write_text("")
    (tmp_path / "etc/issue").chmod(0o666)
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/own.yml").write_text(
        "- {id: own-issue, title: T, level: 1, severity: low, rationale: R, type: file, state: {path: /etc/issue, mode: '0644'}}\n"
    )
    selected = task.read({"register_directories": [str(tmp_path / "extra")]})
    own = task.Task([c for c in selected.controls if c.id == "own-issue"], [], {}, {})
    archive = tmp_path / "program.zip"
    archive.write_bytes(zlib.decompress(base64.b64decode(task.program(own))))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from fleet._hardening.answer import main\nfrom fleet._host.system import System\n"
        f"main(System({str(tmp_path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(zlib.decompress(base64.b64decode(done.stdout)))
    assert [(item["id"], item["status"]) for item in answer["results"]] == [("own-issue", "fail")]
    assert answer["release"] == "al2"
    assert (tmp_path / "etc/issue").stat().st_mode & 0o777 == 0o666


def test_each_control_that_fails_is_a_failed_check_with_its_reason() -> None:
    results = [
        {"id": "a", "status": "pass", "reason": ""},
        {"id": "ssh-root", "status": "fail", "reason": "PermitRootLogin is yes, wanted no"},
        {"id": "c", "status": "excepted", "reason": "agreed"},
    ]
    assert failed(check_controls(results)) == "control ssh-root: PermitRootLogin is yes, wanted no"
    assert failed(check_controls([results[0], results[2]])) == ""


def test_an_audit_in_which_no_control_passed_is_no_success() -> None:
    assert failed(check_controls([])) == "hardening controls pass: 0 of 0 evaluated pass"
    assert failed(check_controls([{"id": "a", "status": "not_applicable", "reason": "x"}])) != ""


def test_the_score_for_a_tag_comes_with_its_counts() -> None:
    assert score({"score": 100.0, "summary": {"pass": 2, "excepted": 1}}) == "100.0; 1 excepted, 2 pass"
