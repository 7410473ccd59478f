"""The one kind of error that the lab shows to a person."""

from __future__ import annotations


class LabError(Exception):
    """What was being done, on what, and what happened. `hint` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  {self.hint}" if self.hint else message
