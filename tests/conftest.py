"""Tests import the collection's plugins under their real names, as Ansible does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / "build" / "collections"


def pytest_configure() -> None:
    if not (COLLECTIONS / "ansible_collections" / "ecommerce" / "fleet").exists():
        subprocess.run([str(ROOT / "scripts" / "setup"), "--no-packer"], check=True)
    from ansible.utils.collection_loader import _collection_finder as finder

    if not any(isinstance(f, finder._AnsibleCollectionFinder) for f in sys.meta_path):
        finder._AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()


# The order in which suites run: the cheap ones first.
SUITES = ("lint", "unit", "templates", "lab", "molecule", "integration", "e2e")
# With several workers (`-n 2`, as `make test` does), each of these stays on one: it has a lab of its own.
LABS = ("lab", "molecule", "integration", "e2e")
# The longest of them begins first there, so that no worker waits for another at the end.
SUITES_SIDE_BY_SIDE = ("lint", "unit", "templates", "e2e", "lab", "molecule", "integration")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    suites = SUITES_SIDE_BY_SIDE if hasattr(config, "workerinput") else SUITES

    def suite(item: pytest.Item) -> str:
        return item.path.relative_to(ROOT / "tests").parts[0]

    items.sort(key=lambda item: suites.index(suite(item)) if suite(item) in suites else len(suites))


class SuiteScheduling(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        """What stays on one worker: a suite with a lab, else each test for itself."""
        suite = nodeid.split("/")[1]
        return suite if suite in LABS else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SuiteScheduling:
    """`--dist loadgroup` would do, but pytest-xdist 3.8 does not group under pytest 9."""
    return SuiteScheduling(config, log)
