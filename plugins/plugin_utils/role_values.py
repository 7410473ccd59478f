# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""What the checks of the roles' variables share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def outside_ranges(role: str, ranges: Mapping[str, tuple[int, int, str]], values: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each number outside its range. `ranges`: variable without the role's prefix → least, most, unit."""
    for name, (least, most, unit) in ranges.items():
        if not least <= int(values[name]) <= most:
            yield f"{role}_{name} is {values[name]}; allowed are {least} to {most} {unit}."


def repeated(values: Iterable[Any]) -> list[Any]:
    """What is there more than once, in the order of its first place."""
    return [value for value, count in Counter(values).items() if count > 1]


def findings_filter(
    role: str, findings: Callable[[Mapping[str, Any]], list[str]]
) -> Callable[[Mapping[str, Any]], list[str]]:
    """`findings` as a filter: values of another shape than the role's argument specs say are an error with a remedy."""

    def filtered(values: Mapping[str, Any]) -> list[str]:
        try:
            return findings(values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"reading the {role} role's variables: {error!r}; see the role's argument specs for their shape"
            raise AnsibleFilterError(message) from error

    return filtered
