"""What the handlers of all services that the reconciler follows have in common."""

from __future__ import annotations

from typing import Any

from lab import reconcile

READS = ("Describe", "Get", "List")


class Recorded:
    """Mixed into a moto response class: its requests see and change records under the lock, and ring the bell."""

    def call_action(self) -> Any:
        with reconcile.lock:
            answer = super().call_action()  # type: ignore[misc]
        if not self._get_action().startswith(READS):  # type: ignore[attr-defined]
            reconcile.wake()
        return answer
