#!/usr/bin/python
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
  - Runs on the control node; no host is contacted. Use it with C(run_once).
options:
  directory:
    description: Where the hosts' reports are, and where the fleet's goes.
    type: path
    required: true
  hosts:
    description: Names of the hosts to report on. Those without a report of the last hour are named as not reached.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: A report is written in check mode too; it is a record, not a change to a host.
    support: full
author:
  - The ecommerce.fleet maintainers
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
  description: Names of the hosts that were not reached.
  returned: success
  type: list
  elements: str
"""
