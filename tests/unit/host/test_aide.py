"""The AIDE database of an image, with a program that stands for aide."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aide import AideError, update

CONFIGURATION = "database_out=file:/var/lib/aide/aide.db.new.gz\nreport_url=file:/var/log/aide/aide.log\n/etc PERMS\n"


class Aide:
    """Records the names below /etc, as far as the configuration it was given says so; ``code``: how --init ends."""

    def __init__(self, root: Path, code: int = 0, writes: bool = True) -> None:
        self.root, self.code, self.writes = root, code, writes
        self.calls: list[str] = []
        self.configuration = ""

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        self.calls.append(argv[-1])
        if argv[1].startswith("--config="):
            self.configuration = Path(argv[1].removeprefix("--config=")).read_text()
        seen = "\n".join(sorted(path.name for path in (self.root / "etc").iterdir()))
        if argv[-1] == "--version":
            return 0, "", "Aide 0.16.2\n\nCompiled with the following options:"
        if argv[-1] == "--check":
            return (0 if (self.root / "var/lib/aide/aide.db.gz").read_text() == seen else 4), "", ""
        if self.writes:
            (self.root / "var/lib/aide/aide.db.new.gz").write_text(seen)
        return self.code, "", "17: Invalid configureline\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "var/lib/aide").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "etc/aide.conf").write_text(CONFIGURATION)
    return tmp_path


def updated(aide: Aide, check_mode: bool = False) -> tuple[bool, dict[str, str] | None]:
    changed, entry = update("/usr/sbin/aide", aide, check_mode, str(aide.root))
    return changed, entry


def test_the_database_is_made_and_described(root: Path) -> None:
    changed, entry = updated(Aide(root))
    made = root / "var/lib/aide/aide.db.gz"
    assert changed
    assert entry == {
        "database": "/var/lib/aide/aide.db.gz",
        "sha256": hashlib.sha256(made.read_bytes()).hexdigest(),
        "version": "0.16.2",
    }
    assert made.stat().st_mode & 0o777 == 0o600
    assert not (root / "var/lib/aide/aide.db.new.gz").exists()


def test_a_database_that_is_still_right_is_kept(root: Path) -> None:
    updated(Aide(root))
    again = Aide(root)
    assert updated(again)[0] is False
    assert "--init" not in again.calls


def test_a_database_that_is_no_longer_right_is_made_anew(root: Path) -> None:
    _changed, old = updated(Aide(root))
    (root / "etc/new").touch()
    changed, new = updated(Aide(root))
    assert changed and old and new and old["sha256"] != new["sha256"]


def test_a_check_run_makes_nothing_and_says_that_it_would(root: Path) -> None:
    aide = Aide(root)
    assert updated(aide, check_mode=True) == (True, None)
    assert aide.calls == []
    assert list((root / "var/lib/aide").iterdir()) == []


def test_nothing_is_left_in_the_report_file(root: Path) -> None:
    aide = Aide(root)
    updated(aide)
    assert "aide.log" not in aide.configuration
    assert aide.configuration.endswith("/etc PERMS\nreport_url=stdout\n")
    assert list((root / "run").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "writes", "expected"),
    [
        (17, False, "exit code 17: 17: Invalid configureline"),
        (0, False, "exit code 0 and wrote no database"),
        (18, True, "18"),
    ],
)
def test_a_failed_init_stops_the_bake_and_names_program_and_file(
    root: Path, code: int, writes: bool, expected: str
) -> None:
    with pytest.raises(AideError, match="No image must be made from this host") as raised:
        updated(Aide(root, code, writes))
    assert expected in str(raised.value) and "/etc/aide.conf" in str(raised.value)
    assert not (root / "var/lib/aide/aide.db.gz").exists()


def test_an_old_half_made_database_is_not_taken_for_the_new_one(root: Path) -> None:
    (root / "var/lib/aide/aide.db.new.gz").write_text("old")
    with pytest.raises(AideError, match="exit code 0 and wrote no database"):
        updated(Aide(root, writes=False))


def test_a_missing_configuration_is_named_with_what_to_do(root: Path) -> None:
    (root / "etc/aide.conf").unlink()
    with pytest.raises(AideError, match=r"aide\.conf cannot be read.*image_finish_aide off"):
        updated(Aide(root))
