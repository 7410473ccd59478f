#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; nothing of it runs on a host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: check_account
short_description: Stop unless the credentials in use belong to the inventory's account
version_added: 0.2.0
description:
  - As M(amazon.aws.aws_caller_info) and an assertion, but asked by Ansible's own process, which has loaded the AWS library for its
    inventory; a module would load it again.
  - Runs on the control node; no host is contacted.
options:
  region:
    description: Region whose STS endpoint is asked.
    type: str
    required: true
  account_id:
    description: The account that the credentials must belong to.
    type: str
    required: true
  environment_name:
    description: Environment of the inventory, for the message.
    type: str
    required: true
  hint:
    description: What to do about missing or expired credentials. Empty for advice that fits any account.
    type: str
    default: ""
attributes:
  check_mode:
    description: Changes nothing.
    support: full
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Stop unless the credentials in use belong to this inventory's account
  ecommerce.fleet.check_account:
    region: us-east-1
    account_id: "111111111111"
    environment_name: prod
"""

RETURN = r"""
account:
  description: The account of the credentials.
  returned: success
  type: str
"""
