"""Links that say which directory is in use."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.ecommerce.fleet.plugins.module_utils._host import links


def test_a_link_names_something_else_after_the_switch_and_nothing_is_left_over(tmp_path: Path) -> None:
    link = str(tmp_path / "current")
    assert links.target(link) is None
    links.switch(link, "releases/1")
    links.switch(link, "releases/2")
    assert links.target(link) == "releases/2"
    assert [path.name for path in tmp_path.iterdir()] == ["current"]
    links.switch(link, None)
    links.switch(link, None)
    assert not list(tmp_path.iterdir())


def test_what_an_interrupted_switch_left_is_replaced(tmp_path: Path) -> None:
    link = str(tmp_path / "current")
    Path(f"{link}.{os.getpid()}").symlink_to("nowhere")
    links.switch(link, "releases/1")
    assert [path.name for path in tmp_path.iterdir()] == ["current"]
