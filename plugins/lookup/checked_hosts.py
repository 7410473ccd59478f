# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a play, once this run has checked its inputs and its account."""

from __future__ import annotations

DOCUMENTATION = r"""
name: checked_hosts
short_description: Hosts of a play that must not begin before the account was checked
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Gives the host patterns as they are if C(playbooks/context.yml) has ended well in this run, and is an error otherwise. Used as
    C(hosts) of a play, it can't be left out by C(--tags), C(--skip-tags), C(--limit) or C(--start-at-task), as a task could.
  - A group that has no hosts is an error, too. Ansible would leave out the play and call the run a success.
options:
  _terms:
    description: Host patterns.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Configure the web hosts
  hosts: "{{ lookup('ecommerce.fleet.checked_hosts', 'web') }}"
"""

RETURN = r"""
_raw:
  description: The patterns.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

MARK = "fleet_checked"
"""The fact of localhost that context.yml sets at its end."""


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_options: Any) -> list[str]:
        known = variables or {}
        if "hostvars" not in known:  # --syntax-check and --list-tasks: nothing will run
            return terms
        if not known["hostvars"]["localhost"].get(MARK):
            raise AnsibleLookupError(
                "This run has not checked its inputs and whose account it works in (playbooks/context.yml), so nothing was changed. "
                "Run the whole playbook, without --skip-tags always and --start-at-task."
            )
        for pattern in terms:
            if pattern != "localhost" and not known["groups"].get(pattern, [pattern]):
                raise AnsibleLookupError(f"The inventory has no host in group {pattern}. Nothing was changed.")
        return terms
