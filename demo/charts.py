"""The charts of the demo's report, as SVG that takes its colours from the page: light or dark, wide or narrow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

from demo.flow import FIRST, SECOND
from demo.load import Sample

mpl.use("svg")
from matplotlib import pyplot as plt

# What is drawn with, and what the page has in its place.
INK, MUTED, OLD, NEW, BAD, LINE, BAND = "#1f2933", "#616e7c", "#7c96b0", "#2f80ed", "#c53030", "#cbd2d9", "#f0f4f8"
COLOURS = {INK: "ink", MUTED: "muted", OLD: "old", NEW: "new", BAD: "bad", LINE: "line", BAND: "band"}
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
Span = tuple[str, float, float]


@dataclass(frozen=True)
class Size:
    """How wide a chart is drawn, in inches, and its text in points: as large on the screen as the page's."""

    name: str
    width: float
    text: int


WIDE, NARROW = Size("wide", 10, 10), Size("narrow", 4.2, 10)


def _svg(figure: Any, name: str) -> str:
    """The figure as an SVG element that fits into a page. ``name``: of the figure, so that no id in it is another's."""
    text = io.StringIO()
    with mpl.rc_context({"font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", bbox_inches="tight", transparent=True)
    plt.close(figure)
    drawn = text.getvalue()
    for colour, variable in COLOURS.items():
        drawn = drawn.replace(colour, f"var(--{variable})")
    return drawn[drawn.index("<svg") :]


def _bare(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=MUTED, length=0)


def timeline(spans: Sequence[Span], size: Size = WIDE) -> str:
    """A bar a step over the seconds since the first began."""
    begin = spans[0][1]
    wide = size is WIDE
    figure, axes = plt.subplots(figsize=(size.width, (0.36 if wide else 0.5) * len(spans) + 0.6))
    last = max(end for _name, _start, end in spans) - begin
    for row, (name, start, end) in enumerate(spans):
        colour = NEW if name in ("roll", "patch") else OLD
        axes.barh(row, max(end - start, 0.3), left=start - begin, height=0.62 if wide else 0.3, color=colour)
        seconds = f"{end - start:.1f} s"
        if wide:
            axes.text(end - begin + 1.5, row, seconds, va="center", color=MUTED, fontsize=size.text)
        else:
            axes.text(0, row - 0.27, f"{TITLES.get(name, name)}, {seconds}", color=INK, fontsize=size.text)
    axes.set_yticks(range(len(spans)), [TITLES.get(name, name) for name, _, _ in spans] if wide else [], color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, last * (1.08 if wide else 1.0))
    axes.set_xlabel("seconds", color=MUTED)
    _bare(axes)
    return _svg(figure, f"timeline-{size.name}")


def latency(samples: Sequence[Sample], spans: Sequence[Span], size: Size = WIDE) -> str:
    """Every request as a dot (red if failed or wrong) over time, and below it which release answered."""
    begin = min(s.at for s in samples)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(size.width, 4.6), sharex=True, height_ratios=[3, 1])
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
    top.legend(frameon=False, loc="upper right", labelcolor=INK, fontsize=size.text)
    _releases(bottom, good, begin, size)
    for name, start, end in spans:
        if name in ("roll", "patch"):
            for axes in (top, bottom):
                axes.axvspan(start - begin, end - begin, color=BAND, zorder=0)
            title = TITLES[name] if size is WIDE else name.capitalize()
            place = max(start - begin, 0) + 0.5
            top.text(place, 1.02, title, transform=top.get_xaxis_transform(), color=INK, fontsize=size.text)
    for axes in (top, bottom):
        _bare(axes)
    return _svg(figure, f"latency-{size.name}")


def _releases(axes: Any, good: Sequence[Sample], begin: float, size: Size) -> None:
    """How many answers a second each release gave."""
    length = int(max((s.at for s in good), default=begin) - begin) + 1
    shares = {v: [0] * length for v in (FIRST, SECOND)}
    for s in good:
        if s.version in shares:
            shares[s.version][int(s.at - begin)] += 1
    axes.stackplot(range(length), shares[FIRST], shares[SECOND], colors=[OLD, NEW], labels=[FIRST, SECOND])
    axes.set_ylabel("/version\nper second", color=MUTED, fontsize=size.text)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, labelcolor=INK, fontsize=size.text)
    axes.set_xlabel("seconds", color=MUTED)
