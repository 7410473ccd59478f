"""Tests import the collection's plugins under their real names, as Ansible does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / "build" / "collections"


def pytest_configure() -> None:
    if not (COLLECTIONS / "ansible_collections" / "ecommerce" / "fleet").exists():
        subprocess.run([str(ROOT / "scripts" / "setup"), "--no-packer"], check=True)
    from ansible.utils.collection_loader import _collection_finder as finder

    if not any(isinstance(f, finder._AnsibleCollectionFinder) for f in sys.meta_path):
        finder._AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()


# The order in which suites run: the cheap ones first.
SUITES = ("lint", "unit", "templates", "lab", "integration", "molecule", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def suite(item: pytest.Item) -> int:
        name = item.path.relative_to(ROOT / "tests").parts[0]
        return SUITES.index(name) if name in SUITES else len(SUITES)

    items.sort(key=suite)
