"""What a machine is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class MachineSpec:
    name: str
    """Unique in the lab; an EC2 instance id."""
    address: str
    mac: str
    layers: tuple[Path, ...]
    """Read-only directories that make up the root file system, the topmost first."""
    hostname: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """Put in the environment of every service and login."""
    saved: tuple[Path, ...] = ()
    """Read-only directories above the lab's own layer: what the machine had written when the lab was saved, the newest first."""
