"""The licence and the first lines of what a user gets."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.host_modules import CONTROL_SIDE
from tests.support.tree import ROOT

HEADER = """# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
HOST_PACKAGES = ("_host", "_hardening", "_admin_access", "_app", "_agents", "_proxysql")
FUTURE = "from __future__ import absolute_import, division, print_function\n"
PLUGINS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "plugins").rglob("*.py"))
HOST_SIDE = [
    name
    for name in PLUGINS
    if (name.startswith("plugins/modules/") and name.split("/")[-1][:-3] not in CONTROL_SIDE)
    or (name.startswith("plugins/module_utils/") and name.split("/")[2] in HOST_PACKAGES)
]


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_begins_with_its_licence(name: str) -> None:
    text = (ROOT / name).read_text()
    module = name.startswith("plugins/modules/") and not name.endswith("__init__.py")
    assert text.startswith("#!/usr/bin/python\n" + HEADER if module else HEADER)


@pytest.mark.parametrize("name", HOST_SIDE)
def test_code_that_runs_on_the_hosts_is_code_of_both_pythons(name: str) -> None:
    text = (ROOT / name).read_text()
    if re.search(r"^(import|from|class|def) ", text, re.MULTILINE):
        assert FUTURE in text and "\n__metaclass__ = type\n" in text


def test_the_licence_is_the_same_everywhere() -> None:
    assert (
        (ROOT / "LICENSE")
        .read_text()
        .lstrip()
        .startswith("GNU GENERAL PUBLIC LICENSE\n                       Version 3")
    )
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["license"] == ["GPL-3.0-or-later"]
    assert "GPL-3.0-or-later" in (ROOT / "README.md").read_text()
    roles = sorted((ROOT / "roles").glob("*/meta/main.yml"))
    said = {path: yaml.safe_load(path.read_text())["galaxy_info"]["license"] for path in roles}
    assert {path: licence for path, licence in said.items() if licence != "GPL-3.0-or-later"} == {}
