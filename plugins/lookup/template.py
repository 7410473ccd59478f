# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible.builtin.template without a copy of every variable for every file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: template
short_description: As ansible.builtin.template, for many files a host
description:
  - Returns what P(ansible.builtin.template#lookup) does and takes the same options.
  - That one copies all variables of the host, facts included, for each file. Files that only read their variables need no copy; it was a
    quarter of the control node's work in a run that changes nothing.
  - With ansible-core 2.19 and newer, which refuse what makes that possible, they are copied.
version_added: 0.2.0
options:
  _terms:
    description: Templates, found as P(ansible.builtin.template#lookup) finds them.
    required: true
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Show a template's text
  ansible.builtin.debug:
    msg: "{{ lookup('ecommerce.fleet.template', 'etc/chrony.conf.j2') }}"
"""

RETURN = r"""
_raw:
  description: The text of each file.
  type: list
  elements: raw
"""

from typing import Any

from ansible import template
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase


class _Shared(dict[str, Any]):
    """Variables whose deep copy is a new dictionary of the same values."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Shared:
        return _Shared(self)


# ansible-core 2.19 and newer refuse every dictionary but Python's own.
VARIABLES: type[dict[str, Any]] = dict if hasattr(template, "trust_as_template") else _Shared


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **options: Any) -> list[Any]:
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        found: list[Any] = lookup.run(terms, variables=VARIABLES(variables or {}), **options)
        return found
