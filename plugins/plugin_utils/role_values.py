# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of the roles' variables share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def outside_ranges(role: str, ranges: Mapping[str, tuple[int, int, str]], values: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each number outside its range. `ranges`: variable without the role's prefix → least, most, unit."""
    for name, (least, most, unit) in ranges.items():
        if not least <= int(values[name]) <= most:
            yield f"{role}_{name} is {values[name]}; allowed are {least} to {most} {unit}."


def repeated(values: Iterable[Any]) -> list[Any]:
    """What is there more than once, in the order of its first place."""
    return [value for value, count in Counter(values).items() if count > 1]
