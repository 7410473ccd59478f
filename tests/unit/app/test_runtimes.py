"""A runtime that an application brings: it counts only when its program has run on this very host."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.archive import StoreError
from ansible_collections.ecommerce.fleet.plugins.module_utils._app.runtimes import Runtimes

OLD_GLIBC = """#!/bin/sh
echo "$0: /lib64/libm.so.6: version \\`GLIBC_2.27' not found (required by $0)" >&2
echo "$0: /lib64/libc.so.6: version \\`GLIBC_2.28' not found (required by $0)" >&2
exit 1
"""


def runtime(program: bytes, name: str = "bin/node", mode: int = 0o755) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for path in (name, "LICENSE"):
            member = tarfile.TarInfo(f"node-v24.0.0-linux-x64/{path}")
            member.size, member.mode = len(program), mode
            tar.addfile(member, io.BytesIO(program))
    return data.getvalue()


def add(folder: Path, data: bytes, sha256: str | None = None) -> Path:
    runtimes = Runtimes(str(folder))
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    runtimes.add(sha256, io.BytesIO(data), "https://x/node.tar.xz", ["bin/node", "--version"])
    assert runtimes.has(sha256)
    return Path(runtimes.path(sha256))


def test_a_runtime_whose_program_runs_lies_where_its_checksum_says(tmp_path: Path) -> None:
    data = runtime(b'#!/bin/sh\n[ "$1" = --version ] && echo v24.0.0\n')
    path = add(tmp_path, data)
    assert path == tmp_path / "runtimes" / hashlib.sha256(data).hexdigest()[:16]
    assert (path / "bin/node").exists()


REFUSED = [
    (OLD_GLIBC.encode(), r"https://x/node.tar.xz doesn't run on this host: bin/node --version ended with code 1: .*_2\.28' not"),
    (b"\x7fELF\x02\x01\x01" + b"\0" * 200, r"ended with code 127: .*/bin/node: Exec format error"),
    (b"#!/bin/sh\nkill -ILL $$\n", r"ended with code -?\d+"),
    (b"#!/bin/sh\nexit 3\n", r"ended with code 3\. Take one that was built for this system's processor and C library"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "message"), REFUSED)
def test_a_program_that_does_not_run_here_is_named_with_its_last_words(
    tmp_path: Path, program: bytes, message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        add(tmp_path, runtime(program))
    assert list((tmp_path / "runtimes").iterdir()) == []


def test_a_program_that_nobody_may_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"ended with code 127: .*Permission denied"):
        add(tmp_path, runtime(b"#!/bin/sh\n", mode=0o644))


def test_an_archive_without_the_program_says_what_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"has no program bin/node; in it are: LICENSE, python"):
        add(tmp_path, runtime(b"x", "python/bin/python3"))
    assert list((tmp_path / "runtimes").iterdir()) == []


def test_a_wrong_checksum_is_refused_before_anything_of_it_runs(tmp_path: Path) -> None:
    data = runtime(f"#!/bin/sh\ntouch {tmp_path}/ran\n".encode())
    with pytest.raises(StoreError, match=f"has sha256 {hashlib.sha256(data).hexdigest()}, expected was {'0' * 64}"):
        add(tmp_path, data, "0" * 64)
    assert [path.name for path in tmp_path.rglob("*")] == ["runtimes"]


def test_what_is_not_kept_is_superfluous_also_what_an_interrupted_run_left(tmp_path: Path) -> None:
    for name in ("a", "b", ".adding-x"):
        (tmp_path / "runtimes" / name).mkdir(parents=True)
    assert Runtimes(str(tmp_path)).superfluous(["a"]) == [".adding-x", "b"]
    assert Runtimes(str(tmp_path / "new")).superfluous([]) == []
