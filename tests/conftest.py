"""Tests import the collection's plugins under their real names, as Ansible does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / "build" / "collections"


def _find_collections() -> None:
    """At import: the conftest files below import helpers that import plugins."""
    if not (COLLECTIONS / "ansible_collections" / "ecommerce" / "fleet").exists():
        subprocess.run([str(ROOT / "scripts" / "setup"), "--no-packer"], check=True)
    from ansible.utils.collection_loader import _collection_finder as finder

    if not any(isinstance(f, finder._AnsibleCollectionFinder) for f in sys.meta_path):
        finder._AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()


_find_collections()

# The same examples in every run, however slow the machine is.
settings.register_profile("fleet", derandomize=True, deadline=None)
settings.load_profile("fleet")

# The order in which suites run: the cheap ones first.
SUITES = ("lint", "unit", "templates", "collection", "lab", "molecule", "integration", "e2e")
# With several workers (`-n 2`, as `make test` does): of the suites that boot machines the longest first.
SUITES_SIDE_BY_SIDE = ("lint", "unit", "templates", "collection", "e2e", "integration", "molecule", "lab")
# Within their suite these begin first, for the same reason.
LONG = ("test_tools.py", "test_rerun.py", "test_the_role_behaves[hardening]", "test_host_modules.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backwards", action="store_true", help="run each suite's tests in reversed order")
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too, as CI does")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {"soak", *(() if config.getoption("--slow") else ("slow",))}
    left_out = {marker for marker in left_out if marker not in config.option.markexpr}
    deselected = [item for item in items if left_out & {mark.name for mark in item.iter_markers()}]
    items[:] = [item for item in items if item not in deselected]
    config.hook.pytest_deselected(items=deselected)
    side_by_side = hasattr(config, "workerinput")
    suites = SUITES_SIDE_BY_SIDE if side_by_side else SUITES

    def order(item: pytest.Item) -> tuple[int, bool]:
        suite = item.path.relative_to(ROOT / "tests").parts[0]
        long = side_by_side and any(name in item.nodeid for name in LONG)
        return (suites.index(suite) if suite in suites else len(suites), not long)

    if config.getoption("--backwards"):
        items.reverse()
    items.sort(key=order)


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """A test that leaves another umask makes later ones fail: what they make can't be read by others."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    left = os.umask(before)
    assert left == before, f"the test has left umask {left:03o}"


class SuiteScheduling(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        """What stays together on one worker, which has labs of its own.

        A file of tests on machines, since its tests may share a lab; the files that share the demo's lab; else each test for itself.
        """
        file = nodeid.partition("::")[0]
        suite = file.split("/")[1]
        if suite == "e2e" and not file.endswith("test_rerun.py"):
            return suite
        return file if suite in ("lab", "integration", "e2e") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SuiteScheduling:
    """`--dist loadgroup` would do, but pytest-xdist 3.8 does not group under pytest 9."""
    return SuiteScheduling(config, log)
