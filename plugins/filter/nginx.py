# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Filter of the role nginx: its variables checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_rules

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


def nginx_findings(values: Mapping[str, Any]) -> list[str]:
    try:
        found: list[str] = nginx_rules.findings(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"reading the nginx role's variables: {error!r}; see the role's argument specs for their shape"
        raise AnsibleFilterError(message) from error
    return found


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"nginx_findings": nginx_findings}
