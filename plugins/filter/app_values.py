# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Filters of the role app_runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils import app_values


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"app_program": app_values.program, "app_value_faults": app_values.faults}
