"""What a benchmark measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One more measured value, and what it should be at most; None for one that tells what another is to be compared with."""

    name: str
    value: float
    at_most: float | None
    unit: str

    def __str__(self) -> str:
        if self.at_most is None:
            return f"{self.name} {self.value:.2f} {self.unit}"
        verdict = "" if self.value <= self.at_most else ": TOO MUCH"
        return f"{self.name} {self.value:.2f} {self.unit} (at most {self.at_most:g}){verdict}"


@dataclass(frozen=True)
class Result:
    """``ours`` and ``peer`` in ``unit``; ``how`` says what was measured, so that anybody can assess it."""

    name: str
    ours: float
    peer: float
    peer_name: str
    unit: str
    how: str
    figures: tuple[Figure, ...] = ()

    @property
    def ratio(self) -> float:
        """How many times what ours takes the peer takes."""
        return self.peer / self.ours

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps({**asdict(self), "ratio": self.ratio}, indent=2) + "\n")

    def __str__(self) -> str:
        lines = [
            f"{self.name}: ours {self.ours:.2f} {self.unit}, {self.peer_name} {self.peer:.2f} {self.unit}, ratio {self.ratio:.1f}",
            *map(str, self.figures),
            self.how,
        ]
        return "\n  ".join(lines)
