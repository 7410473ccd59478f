#!/usr/bin/env python3
"""Renders docs/variables.md from the variables' specification: ``python scripts/variables.py`` writes it, ``--check`` compares it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "build/collections"))

from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import fleet_rules, playbook  # noqa: E402 - found by the line above
from rendering import row, write_or_check  # noqa: E402

TARGET = ROOT / "docs/variables.md"
SHARED = ROOT / "inventory/shared.yml"
HEAD = """# Variables of the playbooks

Rendered from [`meta/fleet_variables.yml`](../meta/fleet_variables.yml) by `scripts/variables.py`. Set them in an inventory's `group_vars`,
or for one run with `-e`. A default in italics is a value of [`inventory/shared.yml`](../inventory/shared.yml), which `ecommerce.fleet.init`
copies. A role's variables are in its own documentation: `ansible-doc -t role ecommerce.fleet.nginx`.

Every playbook checks its inputs before it changes anything, and names all that is wrong at once: these variables; those of the roles
that it uses, with exceptions and overrides of hardening; names that begin like one of ours (`fleet_`, or a role's name) and are none, with
the nearest that is; and `--limit`, `--tags`, `--skip-tags` that would run less than was asked for.

| Variable | Type | Default | Allowed | Used by | |
|---|---|---|---|---|---|
"""


def uses(name: str, shared: dict[str, Any]) -> set[str]:
    """The variable, and those of the shared inventory that are made of it."""
    found, todo = set(), {name}
    while todo:
        found |= todo
        form = re.compile(rf"\b({'|'.join(todo)})\b")
        todo = {other for other, value in shared.items() if form.search(str(value))} - found
    return found


def used_by(name: str, shared: dict[str, Any]) -> str:
    playbooks = sorted(file.stem for file in playbook.PLAYBOOKS.glob("*.yml") if file.stem not in playbook.PARTS)
    names = uses(name, shared)
    using = [one for one in playbooks if playbook.used(one) & names]
    everywhere = len(using) >= len(playbooks) - 1 and "init" not in using
    return "all but `init`" if everywhere else ", ".join(f"`{one}`" for one in using) or "all"


def rendered() -> str:
    shared = yaml.safe_load(SHARED.read_text())
    rows = [_row(name, option, shared) for name, option in fleet_rules.specification().items()]
    return HEAD + "".join(rows)


def _row(name: str, option: dict[str, Any], shared: dict[str, Any]) -> str:
    if name in shared and "{{" not in str(shared[name]) and not isinstance(shared[name], dict):
        default = f"*{_value(shared[name])}*"
    elif name in shared:
        default = "*made of others*" if "{{" in str(shared[name]) else f"*`{shared[name]}`*"
    elif "default" in option:
        default = _value(option["default"])
    else:
        default = "required" if option.get("required") else ""
    text = re.sub(r"[CM]\(([^)]+)\)", r"`\1`", option["description"])
    cells = (f"`{name}`", _type(option), default, _allowed(option), used_by(name, shared), text)
    return row(cells)


def _value(value: Any) -> str:
    return "empty" if value in ("", [], {}) else str(value).lower() if isinstance(value, bool) else str(value)


def _type(option: dict[str, Any]) -> str:
    return option["type"] + (f" of {option['elements']}" if "elements" in option else "")


def _allowed(option: dict[str, Any]) -> str:
    if "choices" in option:
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    if "options" in option:
        return "keys " + ", ".join(f"`{key}`" for key in option["options"])
    if "minimum" in option:
        return f"{option['minimum']} to {option['maximum']}" if "maximum" in option else f"{option['minimum']} or more"
    return str(option.get("form", ""))


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, rendered()))
