# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Filters of the role system: its variables checked, and what is compared with the host's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import system_rules as pure

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


def system_findings(values: Mapping[str, Any]) -> list[str]:
    try:
        found: list[str] = pure.findings(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"reading the system role's variables: {error!r}; see the role's argument specs for their shape"
        raise AnsibleFilterError(message) from error
    return found


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "system_findings": system_findings,
            "system_full_version": pure.full_version,
            "system_unmet_locks": pure.unmet_locks,
            "system_swap_is_right": pure.swap_is_right,
        }
