"""StatsD lines added up over an interval, as the agent's `metrics_aggregation_interval` does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = {"c": "counter", "g": "gauge", "ms": "timing", "h": "histogram", "s": "set"}
_LINE = re.compile(r"([^:|@\s]+):([^|]+)\|(c|g|ms|h|s)(?:\|@([0-9.]+))?(?:\|#(.*))?")

Key = tuple[str, str, tuple[tuple[str, str], ...]]
"""Name, kind, tags."""


@dataclass
class Totals:
    """Counters are summed, gauges keep the last value, timings and histograms every one, sets how many different ones."""

    values: dict[Key, list[float]] = field(default_factory=dict)
    members: dict[Key, set[str]] = field(default_factory=dict)

    def add(self, packet: str) -> list[str]:
        """Takes the lines of a datagram; returns those that are none."""
        return [line for line in packet.splitlines() if line.strip() and not self._line(line.strip())]

    def _line(self, line: str) -> bool:
        found = _LINE.fullmatch(line)
        if not found:
            return False
        name, value, kind, rate, tags = found.groups()
        pairs = sorted(
            (tag.partition(":")[0], tag.partition(":")[2] or "true") for tag in (tags or "").split(",") if tag
        )
        key = (name, kind, tuple(pairs))
        if kind == "s":
            self.members.setdefault(key, set()).add(value)
            return True
        try:
            number, sampled = float(value), float(rate or 1)
        except ValueError:
            return False
        held = self.values.setdefault(key, [])
        if kind == "c":
            held[:] = [sum(held) + number / (sampled or 1)]
        elif kind == "g":
            held[:] = [sum(held) + number if value[0] in "+-" else number]
        else:
            held.append(number)
        return True

    def take(self, dimensions: Mapping[str, str]) -> list[dict[str, Any]]:
        """The data of PutMetricData; the next interval begins with nothing."""
        values = self.values | {key: [float(len(members))] for key, members in self.members.items()}
        data = [
            {
                "name": name,
                "values": numbers,
                "dimensions": {**dimensions, **dict(tags), "metric_type": KINDS[kind]},
                "unit": "Milliseconds" if kind == "ms" else "None",
            }
            for (name, kind, tags), numbers in values.items()
        ]
        self.values, self.members = {}, {}
        return data
