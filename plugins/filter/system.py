# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role system: what is compared with the host's state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils import host_program
from ansible_collections.ecommerce.fleet.plugins.plugin_utils import system_rules as pure

DOCUMENTATION = r"""
name: system_unmet_locks
short_description: Package locks that the installed version does not satisfy
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - Gives one sentence for each lock whose package is installed in another version.
positional: versions
options:
  _input:
    description: The locks, each with C(name) and C(version).
    type: list
    elements: dict
    required: true
  versions:
    description: C(ansible_facts.package_versions), as M(ecommerce.fleet.role_begin) gives it.
    type: dict
    required: true
"""

EXAMPLES = r"""
unmet: "{{ system_package_locks | ecommerce.fleet.system_unmet_locks(ansible_facts['package_versions']) }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "system_full_version": pure.full_version,
            "system_host_keys_program": partial(host_program.files, name="_host/host_keys"),
            "system_unmet_locks": pure.unmet_locks,
            "system_swap_is_right": pure.swap_is_right,
        }
