# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that runs this playbook again."""

from __future__ import annotations

DOCUMENTATION = r"""
name: resume_command
short_description: The command that runs this playbook again
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - The command line as it was given, with the inventory where it came from the configuration. Variables that only this run was to have
    (C(fleet_force), C(fleet_take_over)) are left out, and the values of those that look like secrets are not shown.
options:
  _terms:
    description: Variables and their values that the command must name even if this one did not.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Say how to go on
  ansible.builtin.debug:
    msg: "Resume with: {{ lookup('ecommerce.fleet.resume_command', {'fleet_os': fleet_os}) }}"
"""

RETURN = r"""
_raw:
  description: The command, quoted for a shell.
  type: list
  elements: str
"""

import sys
from typing import Any

from ansible import context
from ansible.plugins.lookup import LookupBase
from ansible_collections.ecommerce.fleet.plugins.plugin_utils.command_line import again


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[dict[str, Any]], variables: dict[str, Any] | None = None, **_options: Any) -> list[str]:
        named: dict[str, Any] = {}
        for term in terms:
            named |= term
        return [again(sys.argv, list(context.CLIARGS.get("inventory") or []), named)]
