# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role proxysql: pool sizes and configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._proxysql import config as pure

DOCUMENTATION = r"""
name: proxysql_pool
short_description: Connections that each host may keep to each database server
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - A host's share is what the server allows, less the reserve, divided by the most hosts that can run at once, less three of the
    proxy's own. The pool is the least of that share, of what the application can use and of what the host's processors can keep
    busy. So the fleet can't pass the server's limit.
  - Fails with the numbers and what can be done if the share is too small.
options:
  _input:
    description: The variables of the role proxysql without their prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
sizes: "{{ values | ecommerce.fleet.proxysql_pool }}"
"""

RETURN = r"""
_value:
  description: By C(address:port) the C(size), what it is C(bound_by), a host's C(share), and C(fleet_connections), the most of the fleet.
  type: dict
"""


def _guarded(function: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
    def filtered(values: Mapping[str, Any]) -> Any:
        try:
            return function(values)
        except ValueError as error:
            raise AnsibleFilterError(f"proxysql_servers: {error}") from error
        except (AttributeError, KeyError, TypeError) as error:
            message = f"reading the proxysql role's variables: {error!r}; see the role's argument specs for their shape"
            raise AnsibleFilterError(message) from error

    return filtered


def proxysql_pool(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {place: dataclasses.asdict(pool) for place, pool in pure.pools(values).items()}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "proxysql_pool": _guarded(proxysql_pool),
            "proxysql_text": _guarded(pure.text),
            "proxysql_wanted": _guarded(pure.wanted),
        }
