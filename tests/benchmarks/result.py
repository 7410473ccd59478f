"""What a benchmark measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """``ours`` and ``peer`` in ``unit``; ``how`` says what was measured, so that anybody can judge it."""

    name: str
    ours: float
    peer: float
    peer_name: str
    unit: str
    how: str

    @property
    def ratio(self) -> float:
        """How many times what ours takes the peer takes."""
        return self.peer / self.ours

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "name": self.name, "ours": round(self.ours, 3), "peer": round(self.peer, 3), "peer_name": self.peer_name,
            "ratio": round(self.ratio, 2), "unit": self.unit, "how": self.how,
        }  # fmt: skip
        (folder / f"{self.name}.json").write_text(json.dumps(data, indent=2) + "\n")

    def __str__(self) -> str:
        return f"{self.name}: ours {self.ours:.2f} {self.unit}, {self.peer_name} {self.peer:.2f} {self.unit}, ratio {self.ratio:.1f}"
