"""The demo's report: one HTML file with a timeline of the steps, the latency of every request and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from demo.charts import NARROW, WIDE, Span, latency, timeline
from demo.flow import Result
from demo.load import Sample

PAGE = Path(__file__).with_name("report.html.j2")


def write(out: Path, result: Result, spans: Sequence[Span], samples: Sequence[Sample]) -> None:
    """Write ``report.html`` into ``out``."""
    tiles = [
        (f"{result.requests_total:,}", "requests during roll and patch", result.requests_total > 0),
        (result.requests_failed, "failed", result.requests_failed == 0),
        (result.requests_wrong, "wrong answers", result.requests_wrong == 0),
        (f"{result.latency_p95_ms:.0f} ms", "latency, 95th percentile", True),
        (result.second_run_changed, "changed by the second site.yml", result.second_run_changed == 0),
        (result.open_controls, "hardening controls that fail or could not be checked", not result.open_controls),
        (f"{result.patched_hosts} of {result.hosts}", "hosts patched", result.patched_hosts == result.hosts),
        (f"{result.seconds['total'] / 60:.1f} min", "from nothing to here", True),
    ]
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(PAGE.read_text())
    text = page.render(
        r=result,
        tiles=tiles,
        when=datetime.fromtimestamp(spans[0][1]).astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        # Drawn here from numbers and our own titles.
        timeline={size.name: Markup(timeline(spans, size)) for size in (WIDE, NARROW)},  # noqa: S704
        latency={size.name: Markup(latency(samples, spans, size)) for size in (WIDE, NARROW)},  # noqa: S704
    )
    (out / "report.html").write_text(text)
