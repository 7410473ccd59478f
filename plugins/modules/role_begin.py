#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; nothing of it runs on a host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: role_begin
short_description: Begin a role of this collection
version_added: 0.2.0
description:
  - Refuses a host whose operating system the collection does not support, and values of the role's variables that are not allowed, alone or
    together, before anything changes. It names all of them at once.
  - The values are those of the variables in the role's argument specs.
  - Makes the host's packages known as C(ansible_facts.package_versions) and its accounts as C(ansible_facts.accounts), unless they
    are since an earlier role of the same run. What a cache of facts has from an earlier run is not taken.
  - Installs those of O(packages) that are missing. When all are there, the host is not contacted.
options:
  packages:
    description: Packages that the role needs.
    type: list
    elements: str
    default: []
  version:
    description: The version that all of O(packages) must have, also if a newer one is installed. Empty accepts any.
    type: str
attributes:
  check_mode:
    description: Asks the package manager what it would install, and installs nothing.
    support: full
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Check the host and the values, and install the package
  ecommerce.fleet.role_begin:
    packages: [amazon-ssm-agent]
    version: "{{ ssm_agent_version }}"
"""

RETURN = r"""
ansible_facts:
  description:
    - C(package_versions) and C(accounts), if they were not known before or have changed.
    - The first has the installed versions by the package's name, each as [epoch:]version-release; the second C(home) and C(shell) by the
      account's name.
  returned: when needed
  type: dict
"""
