"""The docs name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([A-Za-z_.][\w./-]*/[\w.-]+\.\w+)`")
"""A path of a file in a design document."""
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
DOCS = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md")])


def in_the_tree(name: str) -> bool:
    """Under the root, or under the packages that the design names in short."""
    return any((base / name).exists() for base in (ROOT, ROOT / "plugins/module_utils"))


def test_every_file_that_the_design_names_exists() -> None:
    text = (ROOT / "docs/design.md").read_text()
    named = NAMED.findall(text)
    assert len(named) > 40
    assert [name for name in named if not in_the_tree(name)] == []


def test_every_package_of_module_utils_is_in_the_design() -> None:
    text = (ROOT / "docs/design.md").read_text()
    packages = [path.name for path in (ROOT / "plugins/module_utils").iterdir() if (path / "__init__.py").exists()]
    assert [name for name in packages if f"{name}/" not in text] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []
