# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role cloudwatch_agent: its variables turned into the agent's configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils._agents import cloudwatch as pure

DOCUMENTATION = r"""
name: cloudwatch_agent
short_description: The CloudWatch agent's configuration from the variables of the role cloudwatch_agent
version_added: 0.1.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Gives the JSON document for the agent's drop-in folder.
  - The values must be ones that M(ecommerce.fleet.role_begin) has accepted.
options:
  _input:
    description: The role's variables without their prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
configuration: "{{ settings | ecommerce.fleet.cloudwatch_agent }}"
"""

RETURN = r"""
_value:
  description: The configuration.
  type: dict
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cloudwatch_agent": pure.config}
