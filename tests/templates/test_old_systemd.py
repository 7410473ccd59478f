"""The units that roles and controls write on Amazon Linux 2: systemd 219 knows every directive of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.standin import old

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    path.relative_to(ROOT / "roles")
    for path in (ROOT / "roles").glob("*/templates/etc/systemd/system/**/*.j2")
    if Path(path.stem).suffix  # the others are parts of these
)
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "app_runtime": [
        *({"app_runtime_kind": kind} for kind in ("nodejs", "python", "java")),
        {
            "app_runtime_parameters_path": "/fleet/shop",
            "app_runtime_secrets": {"DB_PASSWORD": "db"},
            "app_runtime_sandbox": True,
            "app_runtime_release_parameter": "/fleet/shop/release",
        },
    ]
}
UNITS = {
    f"{control['id']}{path}": state["content"]
    for file in sorted((ROOT / "controls").glob("*.yml"))
    for control in yaml.safe_load(file.read_text())
    for state in [control["state"], *control.get("per_os", {}).values()]
    for path in [state.get("path", "")]
    if isinstance(path, str) and path.startswith("/etc/systemd/system/") and "content" in state
}


def complaints(folder: Path, name: str, text: str) -> str:
    """What systemd 219 would say of the unit."""
    script, unit = folder / "directives", folder / "units" / name
    unit.parent.mkdir(parents=True)
    unit.write_text(text)
    script.write_text(old.directives())
    return subprocess.run(
        ["sh", str(script), str(folder / "units")], capture_output=True, text=True, timeout=20, check=True
    ).stdout


@pytest.mark.parametrize(
    ("template", "variables"),
    [(template, variant) for template in TEMPLATES for variant in VARIANTS.get(template.parts[0], [{}])],
    ids=str,
)
def test_a_roles_unit_says_nothing_that_systemd_219_does_not_know(
    render: Callable[..., str], tmp_path: Path, template: Path, variables: dict[str, Any]
) -> None:
    text = render(template.parts[0], str(Path(*template.parts[2:])), "2", **variables)
    assert "[" in text
    inside = Path(*template.parts[5:]).with_suffix("")
    assert complaints(tmp_path, str(inside), text) == ""


def test_there_are_units_of_controls() -> None:
    assert len(UNITS) >= 2


@pytest.mark.parametrize("unit", UNITS)
def test_a_controls_unit_says_nothing_that_systemd_219_does_not_know(tmp_path: Path, unit: str) -> None:
    assert complaints(tmp_path, Path(unit).name, UNITS[unit]) == ""
