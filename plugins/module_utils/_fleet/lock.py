# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the fleet: one operation at a time, by a parameter beside the journal.

Shape: ``{"holder": {name, node, pid, started}, "doing", "since", "until"}``. PutParameter without Overwrite creates it for one caller
only; of two that take over the same one, the version that PutParameter answers tells who was first (Systems Manager API Reference). It
ends when its run ends it, when that run is known to be dead (same node), or at ``until``, which every step of the run moves on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .._aws.errors import AWS_ERRORS, UserError, error_code, is_not_found
from . import holder as holders

Holder = dict[str, Any]


class HeldError(UserError):
    """Somebody else holds the fleet; the message says who, since when, and what to do."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Lock:
    """The lock's parameter, through a boto3 client for ``ssm``. ``me``: the run that asks (``holder.this_run``)."""

    def __init__(
        self,
        ssm: Any,
        name: str,
        me: Holder,
        *,
        now: Callable[[], datetime] = utc_now,
        runs: Callable[[Holder], bool] = holders.runs,
    ) -> None:
        self._ssm, self._name, self._me, self._now, self._runs = ssm, name, me, now, runs

    def acquire(self, doing: str, seconds: float, *, take_over: bool = False) -> None:
        """Hold the fleet for ``seconds`` at least. Raises HeldError if another run does, unless that one is over, or ``take_over``."""
        held, version = self._read()
        if held is None:
            try:
                self._put(self._lease(doing, seconds, self._stamp()), overwrite=False)
            except AWS_ERRORS as error:
                if error_code(error) != "ParameterAlreadyExists":
                    raise
                held, version = self._read()
                raise HeldError(
                    _describe(held) if held else "another run has just begun. Nothing was changed."
                ) from error
            return
        if held["holder"] != self._me and not take_over and not self._over(held):
            raise HeldError(_describe(held))
        since = held["since"] if held["holder"] == self._me else self._stamp()
        self._replace(self._lease(doing, seconds, since), version)

    def renew(self, seconds: float) -> None:
        """Hold it on. Raises HeldError if another run has taken over; a parameter that somebody has deleted is made again."""
        held, version = self._read()
        if held is None:
            self.acquire("an operation", seconds)
            return
        if held["holder"] != self._me:
            raise HeldError(f"{_who(held)} has taken over. This run changes nothing more.")
        self._replace({**held, "until": self._stamp(seconds)}, version)

    def release(self) -> None:
        """Let go of it, if it is this run's."""
        held = self._read()[0]
        if held and held["holder"] == self._me:
            try:
                self._ssm.delete_parameter(Name=self._name)
            except AWS_ERRORS as error:
                if not is_not_found(error):
                    raise

    def _replace(self, lease: dict[str, Any], version: int) -> None:
        """Overwrite that version. If somebody else was a moment earlier, what that one wrote is restored."""
        written = self._put(lease, overwrite=True)
        if written == version + 1 or lease["holder"] == self._holder_of(version + 1):
            return
        found = self._ssm.get_parameters(Names=[f"{self._name}:{version + 1}"])["Parameters"]
        if found:
            self._ssm.put_parameter(Name=self._name, Value=found[0]["Value"], Type="String", Overwrite=True)
        raise HeldError(
            _describe(json.loads(found[0]["Value"])) if found else "another run has just begun. Nothing was changed."
        )

    def _holder_of(self, version: int) -> Holder | None:
        found = self._ssm.get_parameters(Names=[f"{self._name}:{version}"])["Parameters"]
        return dict(json.loads(found[0]["Value"])["holder"]) if found else None

    def _over(self, held: dict[str, Any]) -> bool:
        if held["holder"]["node"] == self._me["node"]:
            return not self._runs(held["holder"])
        return bool(datetime.fromisoformat(held["until"]) < self._now())

    def _lease(self, doing: str, seconds: float, since: str) -> dict[str, Any]:
        return {"holder": self._me, "doing": doing, "since": since, "until": self._stamp(seconds)}

    def _stamp(self, seconds: float = 0) -> str:
        return (self._now() + timedelta(seconds=seconds)).isoformat(timespec="seconds")

    def _read(self) -> tuple[dict[str, Any] | None, int]:
        found = self._ssm.get_parameters(Names=[self._name])["Parameters"]
        if not found:
            return None, 0
        try:
            held = dict(json.loads(found[0]["Value"]))
            _who(held), held["holder"]["node"], held["holder"]["started"]
            whole = isinstance(held["holder"]["pid"], int) and datetime.fromisoformat(held["until"]).tzinfo is not None
        except (ValueError, TypeError, KeyError):
            whole = False
        if not whole:
            raise HeldError(f"parameter {self._name} is not one of ours: look at it and delete it.")
        return held, int(found[0]["Version"])

    def _put(self, lease: dict[str, Any], *, overwrite: bool) -> int:
        value = json.dumps(lease, sort_keys=True)
        return int(self._ssm.put_parameter(Name=self._name, Value=value, Type="String", Overwrite=overwrite)["Version"])


def _who(held: dict[str, Any]) -> str:
    return f"{held['doing']} by {held['holder']['name']} (process {held['holder']['pid']}, since {held['since']})"


def _describe(held: dict[str, Any]) -> str:
    return (
        f"{_who(held)} holds the fleet. Nothing was changed. Wait until it has ended. If that run is dead, "
        f"another control node takes over from {held['until']} on, or at once with -e fleet_take_over=true."
    )
