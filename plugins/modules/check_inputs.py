#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; nothing of it runs on a host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: check_inputs
short_description: Check every input of a run
version_added: 0.2.0
description:
  - Refuses a run whose variables, C(--tags), C(--skip-tags) or C(--limit) are wrong, before anything is changed. It names
    all that is wrong at once, with what is allowed.
  - Looked at are the variables C(fleet_*), the names of all variables that begin like a role of the collection, and the values of
    the roles that the playbook uses, with the exceptions and overrides of hardening.
  - Once for each set of values that the web hosts have. Values that need facts of a host or an answer of AWS are left to
    M(ecommerce.fleet.role_begin).
  - Runs on the control node; no host is contacted.
options:
  playbook:
    description: Name of the playbook of this collection.
    type: str
    required: true
attributes:
  check_mode:
    description: Changes nothing.
    support: full
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Check every input of this run
  ecommerce.fleet.check_inputs:
    playbook: site
"""

RETURN = r"""
roles:
  description: The roles whose values were checked.
  returned: success
  type: list
  elements: str
"""
