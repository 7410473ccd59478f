# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CIS benchmarks by number: which recommendations no control is part of, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from .register import Control


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. ``without_control``: number → why no control is part of it."""

    release: str
    name: str
    numbers: tuple[str, ...]
    without_control: dict[str, str]

    def covered(self, controls: Sequence[Control]) -> set[str]:
        """The numbers that controls name."""
        return {number for control in controls for number in control.cis.get(self.release, [])}

    def problems(self, controls: Sequence[Control]) -> list[str]:
        """What does not fit together: numbers that are not in the benchmark, those with neither a control nor a reason, those with both."""
        known, covered, excused = set(self.numbers), self.covered(controls), set(self.without_control)
        wrong = {
            "is not in the benchmark": (covered | excused) - known,
            "has neither a control nor a reason for having none": known - covered - excused,
            "has a control and a reason for having none": covered & excused,
        }
        return [f"{self.name}: {number} {what}" for what, numbers in wrong.items() for number in sorted(numbers)]


def read(path: Path) -> list[Benchmark]:
    """The benchmarks of the file: per section its first and last number, and the reasons."""
    result = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        numbers = tuple(
            f"{section}.{number}"
            for section, (first, last) in entry["sections"].items()
            for number in range(first, last + 1)
        )
        reasons = {number: group["reason"] for group in entry["without_control"] for number in group["numbers"]}
        result.append(Benchmark(entry["release"], entry["name"], numbers, reasons))
    return result
