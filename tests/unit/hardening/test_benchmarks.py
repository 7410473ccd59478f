"""The register against the benchmarks: every recommendation has a control or a reason for having none."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.benchmarks import Benchmark, read
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._hardening.register import Control, load

CONTROLS = Path(__file__).resolve().parents[3] / "controls"


@pytest.mark.parametrize(
    "benchmark", read(CONTROLS / "cis/benchmarks.yml"), ids=lambda benchmark: str(benchmark.release)
)
def test_every_recommendation_has_a_control_or_a_reason(benchmark: Benchmark) -> None:
    assert benchmark.problems(load([CONTROLS])) == []
    assert len(benchmark.numbers) > 240


def test_what_does_not_fit_is_named() -> None:
    numbers = {"al2": ["1.1", "1.3", "9.9"], "al2023": ["8.8"]}
    control = Control("a", "A", 1, "low", "Because.", "file", {"path": "/f"}, "files", cis=numbers)
    benchmark = Benchmark("al2", "CIS", ("1.1", "1.2", "1.3", "1.4"), {"1.3": "why", "1.4": "why"})
    assert benchmark.problems([control]) == [
        "CIS: 9.9 is not in the benchmark",
        "CIS: 1.2 has neither a control nor a reason for having none",
        "CIS: 1.3 has a control and a reason for having none",
    ]
