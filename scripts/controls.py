#!/usr/bin/env python3
"""Renders docs/controls.md from the register: ``python scripts/controls.py`` writes it, ``--check`` says whether it is up to date."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "build/collections"))

from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.benchmarks import Benchmark, read  # noqa: E402 - found by the line above
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control, load  # noqa: E402
from rendering import row, write_or_check  # noqa: E402

BENCHMARKS = ROOT / "controls/cis/benchmarks.yml"
TARGET = ROOT / "docs/controls.md"
HEAD = """# Hardening controls

Rendered from [`controls/`](../controls) by `scripts/controls.py`. {count} controls, {first} of them level 1. AL2: CIS Amazon Linux 2
v3.0.0; AL2023: CIS Amazon Linux 2023 v1.0.0. Controls without a number are our own. What each maps to (PCI DSS 4, SOC 2,
ISO 27001, GDPR) is in the register and in the reports' CSV.
"""


def rendered(controls: list[Control], benchmarks: list[Benchmark]) -> str:
    parts = [HEAD.format(count=len(controls), first=sum(control.level == 1 for control in controls))]
    for section, members in groupby(controls, key=lambda control: control.section):
        parts.append(f"\n## {section.replace('_', ' ').capitalize()}\n\n")
        parts.append(
            "| Control | Title | Rationale | AL2 | AL2023 | Level | Severity |\n|---|---|---|---|---|---|---|\n"
        )
        parts += [_row(control) for control in members]
    parts.append("\n## Recommendations of CIS without a control\n\n| Benchmark | Number | Why |\n|---|---|---|\n")
    for benchmark in benchmarks:
        for reason, numbers in groupby(benchmark.without_control.items(), key=lambda item: item[1]):
            parts.append(f"| {benchmark.name} | {', '.join(number for number, _reason in numbers)} | {reason} |\n")
    return "".join(parts)


def _row(control: Control) -> str:
    cells = (
        f"`{control.id}`", control.title, control.rationale, ", ".join(control.cis.get("al2", [])),
        ", ".join(control.cis.get("al2023", [])), str(control.level), control.severity,
    )  # fmt: skip
    return row(cells)


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, rendered(load([ROOT / "controls"]), read(BENCHMARKS))))
