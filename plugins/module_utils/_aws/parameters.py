# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameter Store: reading, writing, and restoring what was there before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from .restoring import undone_on_failure
from .tags import tag_list

LARGEST_STANDARD, LARGEST_ADVANCED = 4096, 8192
"""Bytes of a value, by tier."""


@dataclass(frozen=True)
class Change:
    """One write to a Parameter Store: ``old`` None means that the parameter does not exist."""

    region: str
    name: str
    old: str | None
    new: str


def read(ssm: Any, names: list[str]) -> dict[str, str]:
    """Name → value of those that exist; at most 10 names (the limit of the API)."""
    return {p["Name"]: p["Value"] for p in ssm.get_parameters(Names=names)["Parameters"]}


def write(ssm: Any, name: str, value: str) -> None:
    ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def write_sized(ssm: Any, name: str, value: str) -> None:
    """Write a value of ASCII that may be longer than the standard tier takes. An advanced parameter costs a little, and stays one."""
    tier = {"Tier": "Advanced"} if len(value) > LARGEST_STANDARD else {}
    ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True, **tier)


def write_all(ssm: Mapping[str, Any], changes: Iterable[Change], tags: Mapping[str, str]) -> None:
    """Make all changes, or restore those that were made and raise; NotRestoredError names those that could not be restored.

    ``ssm``: region → client; ``tags``: of parameters that are created.
    """
    with ExitStack() as made:
        for change in changes:
            client = ssm[change.region]
            with undone_on_failure(partial(_undo, client, change, certain=False)):
                _write(client, change, tags)
            made.enter_context(undone_on_failure(partial(_undo, client, change, certain=True)))


def _write(ssm: Any, change: Change, tags: Mapping[str, str]) -> None:
    """Tags go with the creation only: PutParameter refuses them together with Overwrite."""
    if change.old is None:
        ssm.put_parameter(Name=change.name, Value=change.new, Type="String", Tags=tag_list(tags))
    else:
        write(ssm, change.name, change.new)


def _undo(ssm: Any, change: Change, certain: bool) -> list[str]:
    """Answers why the parameter is not as it was, if it isn't. ``certain``: it was written; else the answer may have been lost."""
    try:
        if not certain and read(ssm, [change.name]).get(change.name) == change.old:
            return []
        if change.old is None:
            ssm.delete_parameter(Name=change.name)
        else:
            write(ssm, change.name, change.old)
    except Exception as error:
        old = "not there" if change.old is None else change.old
        return [f"{change.name} in {change.region} may be {change.new}, before it was {old}: {error}"]
    return []
