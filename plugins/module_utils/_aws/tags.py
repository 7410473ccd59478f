# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags and filters in the shapes that the API takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_dict(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def filters(values: Mapping[str, str | list[str]]) -> list[dict[str, Any]]:
    """Filter name → value or values, of which one has to match."""
    return [{"Name": name, "Values": [value] if isinstance(value, str) else value} for name, value in values.items()]


def tag_filters(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return filters({f"tag:{key}": value for key, value in tags.items()})
