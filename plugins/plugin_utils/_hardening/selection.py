# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which controls a host is asked about: level, exceptions, overrides, what is in use. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...module_utils._host.host import KINDS_IN_USE
from .register import Control, RegisterError, check_state

EXCEPTION_FIELDS = ("control", "reason", "owner", "expires")


@dataclass(frozen=True)
class Exemption:
    """A control that may be non-compliant until ``expires`` (the last valid day)."""

    control: str
    reason: str
    owner: str
    expires: datetime.date

    def days_left(self, today: datetime.date) -> int:
        return (self.expires - today).days

    @property
    def shown(self) -> str:
        return f"{self.reason} ({self.owner}, until {self.expires.isoformat()})"


def exemptions(entries: Sequence[Any], known: set[str], today: datetime.date) -> list[Exemption]:
    """The exceptions, checked. Raises RegisterError for unknown controls, missing fields, wrong dates and those that expired."""
    problems: list[str] = []
    result: list[Exemption] = []
    for number, entry in enumerate(entries, 1):
        where = f"hardening_exceptions, entry {number}"
        if not isinstance(entry, dict) or set(entry) != set(EXCEPTION_FIELDS):
            problems.append(f"{where}: needs exactly {', '.join(EXCEPTION_FIELDS)}")
            continue
        blank = [name for name in EXCEPTION_FIELDS if not str(entry[name]).strip()]
        if blank:
            problems.append(f"{where}: {', '.join(blank)} must not be empty")
            continue
        try:
            expires = datetime.date.fromisoformat(str(entry["expires"]))
        except ValueError:
            problems.append(f"{where}: expires is '{entry['expires']}', not a date such as 2027-01-31")
            continue
        if entry["control"] not in known:
            problems.append(f"{where}: there is no control {entry['control']}")
        elif expires < today:
            problems.append(
                f"{where}: the exception for {entry['control']} ({entry['owner']}) expired on {expires.isoformat()}; "
                "renew it or let the control be enforced"
            )
        else:
            result.append(Exemption(entry["control"], str(entry["reason"]), str(entry["owner"]), expires))
    if problems:
        raise RegisterError("The exceptions are wrong; no host was touched.\n" + "\n".join(problems))
    return result


def check_overrides(overrides: Any, controls: Sequence[Control]) -> None:
    """Raises RegisterError for overrides of unknown controls or against their type's schema."""
    types = {control.id: control.type for control in controls}
    if not isinstance(overrides, dict):
        raise RegisterError("hardening_overrides must map control ids to parts of their state; no host was touched.")
    problems = [f"hardening_overrides: there is no control {name}" for name in overrides if name not in types]
    for name, state in overrides.items():
        if name in types:
            found = check_state(types[name], state, partial=True)
            problems += [f"hardening_overrides, {name}: {text}" for _place, text in found]
    if problems:
        raise RegisterError("The overrides are wrong; no host was touched.\n" + "\n".join(problems))


def check_in_use(in_use: Any) -> None:
    """Raises RegisterError unless ``in_use`` has lists under known names."""
    if (
        not isinstance(in_use, dict)
        or set(in_use) - set(KINDS_IN_USE)
        or not all(isinstance(v, list) for v in in_use.values())
    ):
        raise RegisterError(
            f"hardening_in_use must have lists named {', '.join(KINDS_IN_USE)}, not {in_use!r}; no host was touched."
        )


def selected(controls: Sequence[Control], level: int) -> list[Control]:
    """The controls up to the level."""
    return [control for control in controls if control.level <= level]
