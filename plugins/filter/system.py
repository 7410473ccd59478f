# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Filters of the role system: its variables checked, and what is compared with the host's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils import system_rules as pure
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.role_values import findings_filter

DOCUMENTATION = r"""
name: system_findings
short_description: What is wrong with the variables of the role system
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Gives one sentence for each value that is not allowed, with the variable, the value and what is allowed.
options:
  _input:
    description: The role's variables without their prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
findings: "{{ values | ecommerce.fleet.system_findings }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "system_findings": findings_filter("system", pure.findings),
            "system_full_version": pure.full_version,
            "system_unmet_locks": pure.unmet_locks,
            "system_swap_is_right": pure.swap_is_right,
        }
