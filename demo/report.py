"""The demo's report: one HTML file with a timeline of the steps, the latency of every request and what was measured."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from demo.flow import FIRST, SECOND, Result
from demo.load import Sample

mpl.use("svg")
from matplotlib import pyplot as plt

INK, MUTED, OLD, NEW, BAD = "#1f2933", "#7b8794", "#9fb3c8", "#2f80ed", "#d64545"
TITLES = {
    "lab": "Start the local AWS",
    "releases": "Publish two releases",
    "bake": "Bake with Packer",
    "publish": "Test and publish the image",
    "launch": "Launch 3 hosts, 3 zones",
    "dr": "Host from the copy, us-west-2",
    "configure": "site.yml, first run",
    "configure_again": "site.yml, second run",
    "audit": "Audit the hardening",
    "roll": f"Roll {FIRST} → {SECOND}",
    "patch": "Patch through Systems Manager",
}

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ecommerce.fleet demo, {{ r.os }}</title>
<style>
:root { color-scheme: light; --ink: #1f2933; --muted: #616e7c; --line: #e4e7eb; --good: #1f845a; --bad: #d64545; }
body { margin: 0; background: #f5f7fa; color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 28px 0 10px; } p { color: var(--muted); margin: 0 0 16px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(106px, 1fr)); gap: 12px; margin: 20px 0; }
.tile, .card { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: 13px; }
.good b { color: var(--good); } .bad b { color: var(--bad); }
.card svg { width: 100%; height: auto; display: block; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
td, th { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--muted); font-weight: 600; } code { font-size: 13px; }
</style></head><body><main>
<h1>From a base image to a patched fleet</h1>
<p>ecommerce.fleet on the local AWS, {{ "Amazon Linux 2" if r.os == "al2" else "Amazon Linux 2023" }} (stand-in), {{ when }}</p>
<div class="tiles">
{% for value, label, good in tiles %}<div class="tile {{ "good" if good else "bad" }}"><b>{{ value }}</b><span>{{ label }}</span></div>
{% endfor %}</div>
<h2>Every request while the release rolled and the update went in</h2>
<div class="card">{{ latency }}</div>
<h2>Steps</h2>
<div class="card">{{ timeline }}</div>
<h2>Images</h2>
<div class="card"><table><tr><th>Region</th><th>Image</th><th>Proof</th></tr>
{% for region, image in r.images.items() %}<tr><td>{{ region }}</td><td><code>{{ image }}</code></td>
<td>{% if loop.first %}a fleet of {{ r.hosts }} runs from it
{% elif r.dr_host_answered %}a host from it answered{% else %}no host answered{% endif %}</td></tr>
{% endfor %}</table></div>
<h2>Hardening</h2>
<div class="card"><table><tr>{% for status in r.controls %}<th>{{ status.replace("_", " ") }}</th>{% endfor %}<th>Evidence</th></tr>
<tr>{% for count in r.controls.values() %}<td>{{ count }}</td>{% endfor %}
<td><a href="hardening/fleet.html">every control on every host</a></td></tr></table></div>
<h2>What the update changed</h2>
<div class="card"><table><tr><th>Host</th><th>Updated</th><th>Restarted</th><th>Rebooted</th></tr>
{% for host, p in r.patched.items() %}<tr><td><code>{{ host }}</code></td><td>{{ p.updated | join(", ") }}</td>
<td>{{ p.restarted | join(", ") }}</td><td>{{ "yes" if p.rebooted else "no" }}</td></tr>
{% endfor %}</table></div>
</main></body></html>
"""


def _svg(figure: Any) -> str:
    """The figure as an SVG element that fits into a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight")
    plt.close(figure)
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def _bare(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#cbd2d9")
    axes.tick_params(colors=MUTED, length=0)


def timeline(spans: Sequence[tuple[str, float, float]]) -> str:
    """A bar a step over the seconds since the first began."""
    begin = spans[0][1]
    figure, axes = plt.subplots(figsize=(10, 0.36 * len(spans) + 0.6))
    for row, (name, start, end) in enumerate(spans):
        axes.barh(
            row, max(end - start, 0.3), left=start - begin, height=0.62, color=NEW if name in ("roll", "patch") else OLD
        )
        axes.text(end - begin + 1.5, row, f"{end - start:.1f} s", va="center", color=MUTED, fontsize=9)
    axes.set_yticks(range(len(spans)), [TITLES.get(name, name) for name, _, _ in spans], color=INK)
    axes.invert_yaxis()
    axes.set_xlabel("seconds", color=MUTED)
    axes.margins(x=0.08)
    _bare(axes)
    return _svg(figure)


def latency(samples: Sequence[Sample], spans: Sequence[tuple[str, float, float]]) -> str:
    """Every request as a dot (red if failed or wrong) over time, and below it which release answered."""
    begin = min(s.at for s in samples)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 4.6), sharex=True, height_ratios=[3, 1])
    good = [s for s in samples if s.verdict == "ok"]
    top.scatter(
        [s.at - begin for s in good], [s.seconds * 1000 for s in good], s=2, color=OLD, linewidths=0, rasterized=True
    )
    if bad := [s for s in samples if s.verdict != "ok"]:
        top.scatter([s.at - begin for s in bad], [s.seconds * 1000 for s in bad], s=24, marker="x", color=BAD)
    seconds = sorted({int(s.at - begin) for s in good})
    by_second: dict[int, list[float]] = {second: [] for second in seconds}
    for s in good:
        by_second[int(s.at - begin)].append(s.seconds * 1000)
    p95 = [sorted(by_second[t])[int(len(by_second[t]) * 0.95)] for t in seconds]
    top.plot(seconds, p95, color=NEW, linewidth=1.3, label="p95 per second")
    top.set_yscale("log")
    top.yaxis.set_major_formatter("{x:g}")
    top.minorticks_off()
    top.set_ylabel("ms", color=MUTED)
    top.legend(frameon=False, loc="upper right", labelcolor=INK, fontsize=9)
    shares = {v: [0] * (seconds[-1] + 1) for v in (FIRST, SECOND)}
    for s in good:
        if s.version in shares:
            shares[s.version][int(s.at - begin)] += 1
    bottom.stackplot(range(seconds[-1] + 1), shares[FIRST], shares[SECOND], colors=[OLD, NEW], labels=[FIRST, SECOND])
    bottom.set_ylabel("/version\nper second", color=MUTED, fontsize=9)
    bottom.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, labelcolor=INK, fontsize=9)
    bottom.set_xlabel("seconds", color=MUTED)
    for name, start, end in spans:
        if name in ("roll", "patch"):
            for axes in (top, bottom):
                axes.axvspan(start - begin, end - begin, color="#f0f4f8", zorder=0)
            top.text(
                max(start - begin, 0) + 0.5,
                1.02,
                TITLES[name],
                transform=top.get_xaxis_transform(),
                color=INK,
                fontsize=10,
            )
    for axes in (top, bottom):
        _bare(axes)
    return _svg(figure)


def write(out: Path, result: Result, spans: Sequence[tuple[str, float, float]], samples: Sequence[Sample]) -> None:
    """Write ``report.html`` into ``out``."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "path"})
    tiles = [
        (f"{result.requests_total:,}", "requests during roll and patch", result.requests_total > 0),
        (result.requests_failed, "failed", result.requests_failed == 0),
        (result.requests_wrong, "wrong answers", result.requests_wrong == 0),
        (f"{result.latency_p95_ms:.0f} ms", "latency, 95th percentile", True),
        (result.second_run_changed, "changed by the second site.yml", result.second_run_changed == 0),
        (result.controls.get("fail", 0), "hardening controls that don't hold", not result.controls.get("fail", 0)),
        (f"{result.patched_hosts} of {result.hosts}", "hosts patched", result.patched_hosts == result.hosts),
        (f"{result.seconds['total'] / 60:.1f} min", "from nothing to here", True),
    ]
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(PAGE)
    text = page.render(
        r=result,
        tiles=tiles,
        when=datetime.fromtimestamp(spans[0][1]).astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        timeline=Markup(timeline(spans)),  # noqa: S704 - drawn here from numbers and our own titles
        latency=Markup(latency(samples, spans)),  # noqa: S704
    )
    (out / "report.html").write_text(text)
