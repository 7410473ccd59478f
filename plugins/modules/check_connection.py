#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; nothing of it runs on a host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: check_connection
short_description: Check that hosts can be connected to as the inventory says
version_added: 0.2.0
description:
  - For P(ecommerce.fleet.session_manager_ssh#connection), refuses a control node whose session-manager-plugin is missing or too old.
  - For P(community.aws.aws_ssm#connection), refuses a bucket that keeps versions. Modules with their arguments pass through it as files,
    and a version of a file with a secret stays after the file is deleted.
  - Runs on the control node; no host is contacted.
options:
  connection:
    description: How hosts are connected to.
    type: str
    choices: [session_manager_ssh, aws_ssm, ssh]
    required: true
  region:
    description: Region of the bucket.
    type: str
    required: true
  bucket:
    description: Name of the bucket that V(aws_ssm) passes files through.
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
- name: Check that hosts can be connected to as the inventory says
  ecommerce.fleet.check_connection:
    connection: session_manager_ssh
    region: us-east-1
"""

RETURN = r"""
connection:
  description: How hosts are connected to.
  returned: success
  type: str
"""
