# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Filter of the role nginx: its variables checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_rules
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.role_values import findings_filter

DOCUMENTATION = r"""
name: nginx_findings
short_description: What is wrong with the variables of the role nginx
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Gives one sentence for each value that is not allowed, alone or together with another, with the variable, the value and what is allowed.
options:
  _input:
    description: The role's variables without their prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
findings: "{{ values | ecommerce.fleet.nginx_findings }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"nginx_findings": findings_filter("nginx", nginx_rules.findings)}
