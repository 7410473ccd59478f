# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of roles' variables in plays that don't run the roles."""

from __future__ import annotations

DOCUMENTATION = r"""
name: role_variable
short_description: Value of a role's variable where the role does not run
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Gives the value that a variable of a role of this collection has on this host, from the role's defaults, the inventory and the role's
    own variables, in Ansible's order. So a play can use what a role exports without naming the role among its own.
  - A variable belongs to the role whose name it begins with.
options:
  _terms:
    description: Names of variables.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what nginx relies on
  ansible.builtin.debug:
    msg: "{{ lookup('ecommerce.fleet.role_variable', 'nginx_in_use') }}"
"""

RETURN = r"""
_raw:
  description: One value per name.
  type: list
  elements: raw
"""

from typing import Any

from ansible import template
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..plugin_utils._inputs.evaluation import role_part
from ..plugin_utils._inputs.names import role_of


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_options: Any) -> list[Any]:
        return [self._value(name, variables or {}) for name in terms]

    def _value(self, name: str, variables: dict[str, Any]) -> Any:
        role = role_of(name)
        known = (
            {**role_part(self._loader, role, "defaults"), **variables, **role_part(self._loader, role, "vars")}
            if role
            else {}
        )
        if name not in known:
            raise AnsibleLookupError(f"no role of ecommerce.fleet has a variable {name}")
        return template.Templar(loader=self._loader, variables=known).template(known[name])
