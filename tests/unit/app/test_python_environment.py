"""The virtual environment of a Python release: only what the lock file lists by its hash, and nothing is left of one that fails."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app import python_environment
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.release_store import Store


def run(argv: list[str], **_options: Any) -> tuple[int, str, str]:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def wheel() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("tiny.py", "WORD = 'hello'\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return packed.getvalue()


def artifact(lock: str, wheel_data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in {"requirements.lock": lock.encode(), "wheels/tiny-1.0-py3-none-any.whl": wheel_data}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def add(store: Store, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_environment, "PYTHON", sys.executable)
    environment = python_environment.Environment()
    store.add(
        "1.0", hashlib.sha256(data).hexdigest(), io.BytesIO(data), "file:///x", lambda at: environment.complete(run, at)
    )


def test_the_release_gets_what_its_lock_file_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, data = Store(str(tmp_path)), wheel()
    lock = f"tiny==1.0 --hash=sha256:{hashlib.sha256(data).hexdigest()}\n"
    add(store, artifact(lock, data), monkeypatch)
    python = tmp_path / "releases/1.0/.venv/bin/python"
    assert subprocess.check_output([str(python), "-c", "import tiny; print(tiny.WORD)"], text=True) == "hello\n"
    assert (tmp_path / "releases/1.0/.release.json").exists()


def test_a_wheel_with_another_hash_is_refused_with_pips_words_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    lock = f"tiny==1.0 --hash=sha256:{'0' * 64}\n"
    with pytest.raises(
        StoreError, match=r"packages of requirements.lock can't be installed(.|\n)*Expected sha256 0000"
    ):
        add(store, artifact(lock, wheel()), monkeypatch)
    assert list((tmp_path / "releases").iterdir()) == []


def test_without_wheels_the_index_is_asked(tmp_path: Path) -> None:
    assert "--no-index" not in python_environment.pip_command(str(tmp_path), "/x/.venv")
    (tmp_path / "wheels").mkdir()
    assert {"--no-index", "--require-hashes"} <= set(python_environment.pip_command(str(tmp_path), "/x/.venv"))


def test_each_runtime_has_its_own_environment_in_the_same_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, data = Store(str(tmp_path)), wheel()
    lock = f"tiny==1.0 --hash=sha256:{hashlib.sha256(data).hexdigest()}\n"
    add(store, artifact(lock, data), monkeypatch)
    release, runtime = tmp_path / "releases/1.0", tmp_path / "runtimes/abc"
    (runtime / "bin").mkdir(parents=True)
    (runtime / "bin/python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (runtime / "bin/python3").chmod(0o755)
    brought = python_environment.Environment(("abc", str(runtime)))
    assert brought.is_missing(str(release))
    brought.complete(run, str(release))
    assert not brought.is_missing(str(release))
    for name in (".venv", ".venv-abc"):
        python = release / name / "bin/python"
        assert subprocess.check_output([str(python), "-c", "import tiny; print(tiny.WORD)"], text=True) == "hello\n"


def test_an_environment_whose_making_was_interrupted_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").touch()
    environment = python_environment.Environment(("abc", "/runtimes/abc"))
    made: list[list[str]] = []

    def interrupted(argv: list[str], **_options: Any) -> tuple[int, str, str]:
        (tmp_path / ".venv-abc").mkdir(exist_ok=True)
        (tmp_path / ".venv-abc/half").touch()
        raise KeyboardInterrupt

    def done(argv: list[str], **_options: Any) -> tuple[int, str, str]:
        made.append(argv)
        (tmp_path / ".venv-abc").mkdir(exist_ok=True)
        return 0, "", ""

    with pytest.raises(KeyboardInterrupt):
        environment.complete(interrupted, str(tmp_path))
    assert environment.is_missing(str(tmp_path))
    environment.complete(done, str(tmp_path))
    assert not environment.is_missing(str(tmp_path))
    assert made[0][2:] == ["/runtimes/abc/bin/python3", "-m", "venv", f"{tmp_path}/.venv-abc"]
    assert not (tmp_path / ".venv-abc/half").exists()
