#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; nothing of it runs on a host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: hardening_report
short_description: Write the fleet's hardening report
version_added: 0.1.0
description:
  - Joins the reports that M(ecommerce.fleet.hardening) wrote for each host into C(fleet.html), C(fleet.json), C(fleet.csv) and
    C(fleet.xml) (JUnit).
  - Only reports of the same run of Ansible count. Hosts without one are named, and then the fleet has no score. The files are written
    even if no host was reached, so that those of an earlier run do not pass for this one's.
  - Runs on the control node; no host is contacted. Use it with C(run_once).
options:
  directory:
    description: Where the hosts' reports are, and where the fleet's goes.
    type: path
    required: true
  hosts:
    description: Names of the hosts to report on. Those without a report of this run are named as missing.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: A report is written in check mode too; it is a record, not a change to a host.
    support: full
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Write the fleet's report
  ecommerce.fleet.hardening_report:
    directory: build/hardening
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
page:
  description: Path of the HTML page.
  returned: success
  type: str
hosts:
  description: Names of the hosts in the report.
  returned: success
  type: list
  elements: str
missing:
  description: Names of the hosts that this run has no report of.
  returned: success
  type: list
  elements: str
msg:
  description: How many hosts were checked, the results by status, which hosts are missing and where the page is, in one line.
  returned: success
  type: str
"""
