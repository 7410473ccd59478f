"""scripts/setup: what it installs, and that nothing lies on the disk twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = (".venv", ".venv-current")
"""One for each supported ansible-core; `make test` has both."""
TWO_VERSIONS = ("ansible", "ansible_collections", "ansible_test")
"""What the environments differ in: ansible-core and its collections, one version each."""
MIB = 2**20


def installed(environment: str) -> Iterator[tuple[Path, Path]]:
    """(path below the packages' folder, file) of everything that was installed, without what Python compiled since."""
    (packages,) = (ROOT / environment).glob("lib/python3.*/site-packages")
    # The environment's own pip is not of the lock file.
    own = {packages / "pip", packages / "setuptools"}
    for path in packages.rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and not own.intersection(path.parents):
            yield path.relative_to(packages), path


def test_what_both_environments_have_is_on_the_disk_once() -> None:
    first, second = (dict(installed(environment)) for environment in ENVIRONMENTS)
    common = [
        (first[name], second[name])
        for name in first.keys() & second.keys()
        if name.parts[0] not in TWO_VERSIONS and first[name].read_bytes() == second[name].read_bytes()
    ]
    shared = sum(one.stat().st_size for one, other in common if one.samefile(other))
    twice = sum(one.stat().st_size for one, other in common if not one.samefile(other))
    assert shared > 100 * MIB
    assert twice < 5 * MIB, f"{twice / MIB:.0f} MiB are installed twice"
