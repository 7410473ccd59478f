#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; nothing of it runs on a host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: check_inventory
short_description: Compare the inventory with the Auto Scaling group
version_added: 0.2.0
description:
  - Refuses a run one of whose sources of inventory could not be read. Ansible only warns of that, and goes on without its hosts.
  - With O(hosts_needed), refuses a run whose inventory has no web host, or lacks one that is in the Auto Scaling group. Names the
    hosts that their tag Role keeps out of the inventory's groups.
  - With O(group_needed), refuses a run whose group does not exist, and names those that do. Otherwise such a group has no hosts.
  - Runs on the control node; no host is contacted.
options:
  region:
    description: Region of the group.
    type: str
    required: true
  name:
    description: Name of the group.
    type: str
    required: true
  role:
    description: The tag Role of web hosts.
    type: str
    default: web
  group_needed:
    description: Whether the run works on the group.
    type: bool
    default: false
  hosts_needed:
    description: Whether the run works on the hosts of the inventory.
    type: bool
    default: false
attributes:
  check_mode:
    description: Changes nothing.
    support: full
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Compare the inventory with the Auto Scaling group
  ecommerce.fleet.check_inventory:
    region: us-east-1
    name: ecommerce-web-prod-al2023
    hosts_needed: true
"""

RETURN = r"""
hosts:
  description: The web hosts of the inventory.
  returned: success
  type: list
  elements: str
members:
  description: Instance ids of the group's hosts that are in service or in Standby; empty where the run needs neither the group nor hosts.
  returned: success
  type: list
  elements: str
"""
