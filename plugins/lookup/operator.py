# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run of ansible-playbook that asks, by which an operation holds the fleet."""

from __future__ import annotations

DOCUMENTATION = r"""
name: operator
short_description: The run of ansible-playbook that asks
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Who runs the playbook, on which node, as which process. The same at every call of one run, and different in any other.
options:
  _terms:
    description: None.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show who runs this
  ansible.builtin.debug:
    msg: "{{ lookup('ecommerce.fleet.operator').name }}"
"""

RETURN = r"""
_raw:
  description: V(name), V(node), V(pid) and V(started) of the run.
  type: list
  elements: dict
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.ecommerce.fleet.plugins.module_utils._fleet.holder import this_run


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_options: Any) -> list[dict[str, Any]]:
        return [this_run()]
