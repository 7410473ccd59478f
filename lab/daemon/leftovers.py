"""What an earlier lab of the same name left when it was killed or crashed."""

from __future__ import annotations

from lab import processes
from lab.network.lab_network import LabNetwork
from lab.settings import Settings


def remove(settings: Settings) -> int:
    """Ends its processes and removes its namespace. Returns the number of processes that were ended."""
    network = LabNetwork(settings)
    network.refuse_foreign()
    ended = processes.end(settings)
    network.remove()
    return ended
