#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates hardening controls on a host, all in one execution. The action plugin of the same name brings the register along."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: hardening
short_description: Check or enforce the hardening controls on a host
version_added: 0.1.0
description:
  - Evaluates the controls of the register (C(controls/*.yml) of this collection) on an Amazon Linux 2 or 2023 host, all of them in one
    remote execution, and answers one result per control with the evidence.
  - In check mode it is the audit. Nothing is changed, and a non-compliant control is reported as C(fail).
  - A control that could not be checked, because a program is gone or does not answer, is reported as C(error). It fails the task as
    C(fail) does.
  - Changes to sshd, sudo, PAM, accounts, files and the packet filter are checked by the program itself, then proven by opening a new
    session; if an access path that worked before is lost, they are undone and the controls fail. What would stop or remove sshd, sudo
    or Session Manager's agent is refused.
  - A packet filter is proven from outside as well, over a new connection. If none opens within a minute, the host undoes it by itself.
  - The register, the exceptions and the overrides are checked on the control node, before the host is touched.
options:
  level:
    description: Controls up to this CIS level are evaluated.
    type: int
    choices: [1, 2]
    default: 1
  in_use:
    description:
      - What other roles rely on, with the lists C(ports), C(services), C(users), C(mounts) and C(endpoints) (C(name:port) of what the host
        must reach). Nothing of it is closed, stopped or removed.
    type: dict
    default: {}
  exceptions:
    description: Controls that are not enforced. Unknown ids and expired exceptions fail before the host is touched.
    type: list
    elements: dict
    default: []
    suboptions:
      control:
        description: Id of the control.
        type: str
        required: true
      reason:
        description: Why the host may be non-compliant here.
        type: str
        required: true
      owner:
        description: Who answers for it.
        type: str
        required: true
      expires:
        description: Last day on which it is valid, as C(2027-01-31).
        type: str
        required: true
  overrides:
    description: Control id to the part of its C(state) that differs here, such as another banner. The register's schema applies to it.
    type: dict
    default: {}
  register_directories:
    description: Directories on the control node with more controls of the same form.
    type: list
    elements: path
    default: []
  audit_fails:
    description: Whether the task fails in check mode when a control fails or could not be checked.
    type: bool
    default: false
  report_directory:
    description: Directory on the control node for the host's report as JSON, JUnit, CSV and HTML. Empty for none.
    type: path
  task:
    description:
      - Set by the action plugin from the other options - the selected controls, the ids excepted and what is in use, as JSON.
      - It is text since Ansible looks at every value within an argument several times.
    type: str
attributes:
  check_mode:
    description: Check mode is the audit.
    support: full
  diff_mode:
    description: Shows every changed file, in check mode what differs.
    support: full
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
"""

EXAMPLES = r"""
- name: Enforce the controls
  ecommerce.fleet.hardening:
    in_use:
      ports: [22, 80]
      services: [nginx]
      users: [ec2-user]
      mounts: []
    exceptions:
      - control: ssh-no-forwarding
        reason: The database team tunnels through this host until the move to Session Manager
        owner: platform-team
        expires: "2027-01-31"
  become: true
"""

RETURN = r"""
results:
  description: One entry per control.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Id of the control.
      type: str
      returned: always
    status:
      description: One of C(pass), C(changed), C(fail), C(error), C(not_applicable), C(excepted), C(not_applied_here).
      type: str
      returned: always
    changed:
      description: Whether something was changed for it.
      type: bool
      returned: always
    reason:
      description: Why it has this status; empty for C(pass) and C(changed).
      type: str
      returned: always
    evidence:
      description: What was found.
      type: list
      elements: str
      returned: always
summary:
  description: Number of controls by status.
  returned: always
  type: dict
  sample: {pass: 70, changed: 0, fail: 0, error: 0, not_applicable: 9, excepted: 1, not_applied_here: 4}
release:
  description: C(al2) or C(al2023).
  returned: always
  type: str
used:
  description: What the evaluation took on the host, processes that it started included.
  returned: always
  type: dict
  sample: {cpu_seconds: 0.4, memory_mb: 31}
unproven:
  description: Whether a packet filter was loaded that the host undoes by itself unless it is confirmed from outside. The action plugin
    confirms it over a new connection and removes this value.
  returned: always
  type: bool
container:
  description: Whether the host is a container, where some controls can't be applied.
  returned: always
  type: bool
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.answer import answer
from ansible_collections.ecommerce.fleet.plugins.module_utils._hardening.engine import OPEN
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

MYPY = False
if MYPY:
    from typing import Any, Dict, List  # noqa: F401

EXCEPTION = {name: {"type": "str", "required": True} for name in ("control", "reason", "owner", "expires")}
UNCHECKED = {"fail": "", "error": "could not be checked: "}
SECRET = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-")


def shown_differences(system, results, check_mode):
    # type: (System, List[Dict[str, Any]], bool) -> List[Dict[str, str]]
    """What --diff shows: files before and after; in check mode what a control found."""
    if check_mode:
        lines = ["%s: %s\n" % (item["id"], item["reason"]) for item in results if item["status"] in OPEN]
        return [{"prepared": "".join(lines)}] if lines else []
    return [
        {"before_header": path, "after_header": path, "before": before, "after": after}
        for path, before, after in system.changes()
        if path not in SECRET
    ]


def failure_message(failed):
    # type: (List[Dict[str, Any]]) -> str
    """A readable list of the controls that fail or could not be checked."""
    lines = ["%d of the controls fail or could not be checked:" % len(failed)]
    lines += ["  %s: %s%s" % (item["id"], UNCHECKED[item["status"]], item["reason"]) for item in failed]
    lines.append("Correct the host, or add an exception with reason, owner and expiry to hardening_exceptions.")
    return "\n".join(lines)


def main():
    # type: () -> None
    module = AnsibleModule(
        argument_spec={
            "level": {"type": "int", "choices": [1, 2], "default": 1},
            "in_use": {"type": "dict", "default": {}},
            "exceptions": {"type": "list", "elements": "dict", "default": [], "options": EXCEPTION},
            "overrides": {"type": "dict", "default": {}},
            "register_directories": {"type": "list", "elements": "path", "default": []},
            "audit_fails": {"type": "bool", "default": False},
            "report_directory": {"type": "path"},
            "task": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if not module.params["task"]:
        module.fail_json(
            msg="The action plugin of the same name brings the controls along: call ecommerce.fleet.hardening."
        )
    system = System()
    try:
        answered = answer(system, json.loads(module.params["task"]), not module.check_mode)
    except HostError as error:
        module.fail_json(msg="%s" % error)
    results = answered["results"]
    failed = [item for item in results if item["status"] in OPEN]
    answered["changed"] = any(item["changed"] for item in results) or (module.check_mode and bool(failed))
    if module._diff:
        answered["diff"] = shown_differences(system, results, module.check_mode)
    # As text: Ansible looks at every value in a result several times.
    answered["answers"] = json.dumps(answered.pop("results"))
    if failed and (module.params["audit_fails"] or not module.check_mode):
        module.fail_json(msg=failure_message(failed), **answered)
    module.exit_json(**answered)


if __name__ == "__main__":
    main()
