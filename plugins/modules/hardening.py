#!/usr/bin/python
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
  - In check mode it is the audit. Nothing is changed, and a control that does not hold is reported as C(fail).
  - Changes to sshd, sudo, PAM, accounts, files and the packet filter are checked by the program itself, then proven by opening a new
    session; if a way in that worked before is lost, they are undone and the controls fail. What would stop or remove sshd, sudo or Session
    Manager's agent is refused.
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
        description: Why it does not hold here.
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
    description: Control id to the part of its C(state) that differs here, such as another banner. The register's schema holds for it.
    type: dict
    default: {}
  register_directories:
    description: Directories on the control node with more controls of the same form.
    type: list
    elements: path
    default: []
  audit_fails:
    description: Whether the task fails in check mode when a control does not hold.
    type: bool
    default: false
  report_directory:
    description: Directory on the control node for the host's report as JSON, JUnit, CSV and HTML. Empty for none.
    type: path
  controls:
    description: Set by the action plugin, as JSON.
    type: str
  excepted:
    description: Set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Check mode is the audit.
    support: full
  diff_mode:
    description: Shows every changed file, in check mode what differs.
    support: full
author:
  - The ecommerce.fleet maintainers
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
      description: One of C(pass), C(changed), C(fail), C(not_applicable), C(excepted), C(not_applied_here).
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
  sample: {pass: 70, changed: 0, fail: 0, not_applicable: 9, excepted: 1, not_applied_here: 4}
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
    confirms it over a new connection and takes this value away.
  returned: always
  type: bool
container:
  description: Whether the host is a container, where some controls can't be applied.
  returned: always
  type: bool
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils.hardening.answer import answer
from ansible_collections.ecommerce.fleet.plugins.module_utils.hardening.system import HardeningError, System

MYPY = False
if MYPY:
    from typing import Any, Dict, List  # noqa: F401

SECRET = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-")


def shown_differences(system, results, check_mode):
    # type: (System, List[Dict[str, Any]], bool) -> List[Dict[str, str]]
    """What --diff shows: files before and after; in check mode what a control found."""
    if check_mode:
        lines = ["%s: %s\n" % (item["id"], item["reason"]) for item in results if item["status"] == "fail"]
        return [{"prepared": "".join(lines)}] if lines else []
    return [
        {"before_header": path, "after_header": path, "before": before, "after": after}
        for path, before, after in system.changes()
        if path not in SECRET
    ]


def failure_message(failed):
    # type: (List[Dict[str, Any]]) -> str
    """A readable list of the controls that do not hold."""
    lines = ["%d of the controls do not hold:" % len(failed)]
    lines += ["  %s: %s" % (item["id"], item["reason"]) for item in failed]
    lines.append("Correct the host, or add an exception with reason, owner and expiry to hardening_exceptions.")
    return "\n".join(lines)


def main():
    # type: () -> None
    module = AnsibleModule(
        argument_spec={
            # As text, and the results too: Ansible looks at every value in an argument and a result several times.
            "controls": {"type": "str", "required": True},
            "excepted": {"type": "dict", "default": {}},
            "in_use": {"type": "dict", "default": {}},
            "audit_fails": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    system = System()
    # Under Python 2 the arguments are bytes; after a round trip all text is text.
    task = json.loads(json.dumps({name: module.params[name] for name in ("in_use", "excepted")}))
    task["controls"] = json.loads(module.params["controls"])
    try:
        said = answer(system, task, not module.check_mode)
    except HardeningError as error:
        module.fail_json(msg="%s" % error)
    results = said["results"]
    failed = [item for item in results if item["status"] == "fail"]
    said["changed"] = any(item["changed"] for item in results) or (module.check_mode and bool(failed))
    if module._diff:
        said["diff"] = shown_differences(system, results, module.check_mode)
    said["answers"] = json.dumps(said.pop("results"))
    if failed and (module.params["audit_fails"] or not module.check_mode):
        module.fail_json(msg=failure_message(failed), **said)
    module.exit_json(**said)


if __name__ == "__main__":
    main()
