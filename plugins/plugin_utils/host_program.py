# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a program that runs on a host without Ansible: a module_util and what it imports."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = "ansible_collections/ecommerce/fleet/plugins/module_utils"
SOURCES = Path(__file__).resolve().parents[1] / "module_utils"


def with_imports(name: str) -> dict[str, str]:
    """{module_util: its text} of that module_util, such as `_host/lock`, and of all that it imports at its top level."""
    texts: dict[str, str] = {}
    open_names = [name]
    while open_names:
        one = open_names.pop()
        if one not in texts:
            texts[one] = (SOURCES / f"{one}.py").read_text(encoding="utf-8")
            open_names += imports(one, texts[one])
    return dict(sorted(texts.items()))


def files(library: str, name: str) -> list[dict[str, str]]:
    """The files of that program below the directory `library`, as the modules that write files take them."""
    return [
        {"path": f"{library}/{PACKAGE}/{module}.py", "content": text} for module, text in with_imports(name).items()
    ]


def imports(name: str, text: str) -> list[str]:
    """The module_utils that the module_util of that name and text imports at its top level."""
    found = []
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.ImportFrom):
            continue
        if statement.level:
            parts = [*name.split("/")[: -statement.level], *filter(None, (statement.module or "").split("."))]
        elif statement.module and statement.module.startswith(PACKAGE.replace("/", ".") + "."):
            parts = statement.module.split(".")[PACKAGE.count("/") + 1 :]
        else:
            continue
        is_module = bool(parts) and (SOURCES / f"{'/'.join(parts)}.py").exists()
        found += ["/".join(parts)] if is_module else ["/".join([*parts, each.name]) for each in statement.names]
    return found
