# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing on the control node what was done in AWS, when what follows fails. Control node only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._host.undo import outcome, undo
from .errors import UserError


class NotRestoredError(UserError):
    """Something failed, and not everything that was done before could be undone. ``left``: what, a sentence each."""

    def __init__(self, cause: object, left: list[str]) -> None:
        super().__init__(f"{cause}. {outcome(left)}")
        self.cause, self.left = cause, left


@contextmanager
def undone_on_failure(*steps: Callable[[], list[str] | None]) -> Iterator[None]:
    """Take all steps if the block fails, and raise its error again; as NotRestoredError if something is left, also of a block inside."""
    try:
        yield
    except BaseException as error:  # also a run that is interrupted
        left = undo(*steps)
        if isinstance(error, NotRestoredError):
            raise NotRestoredError(error.cause, error.left + left) from error
        if left and isinstance(error, Exception):
            raise NotRestoredError(error, left) from error
        raise
