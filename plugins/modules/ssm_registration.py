#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until nothing that the SSM agent needs is missing on this host, by its own diagnostics."""
# ruff: noqa: UP001, UP010, UP030, UP032

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: ssm_registration
short_description: Wait until nothing that the SSM agent needs to register is missing
version_added: 0.1.0
description:
  - Runs C(ssm-cli get-diagnostics) until the agent runs, has credentials, and reaches the instance metadata and the endpoints C(ssm) and
    C(ssmmessages).
  - With O(service) it starts the agent first and enables it; otherwise it changes nothing.
  - That is no proof of the registration. The host can't know it; Systems Manager does, and M(ecommerce.fleet.ssm_online) asks it.
  - That the agent's check of its credentials does not reach STS says nothing of them. In a subnet with endpoints for Systems Manager alone
    it is always so.
options:
  service:
    description: The agent's unit, which is to run now and at boot.
    type: str
  timeout_seconds:
    description: Deadline of the wait; 0 looks once.
    type: float
    default: 60
  required:
    description: Whether it is a failure when something is still missing in time. Otherwise it is a warning, and in RV(errors).
    type: bool
    default: true
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode:
    description: Looks once, starts nothing and never fails.
    support: full
"""

EXAMPLES = r"""
- name: Start the agent and ask what it lacks
  ecommerce.fleet.ssm_registration:
    service: amazon-ssm-agent
    timeout_seconds: 30
"""

RETURN = r"""
can_register:
  description: Whether nothing is missing. Not that the host is registered.
  returned: success
  type: bool
instance_id:
  description: The id that the agent goes by; empty when it can't tell.
  returned: success
  type: str
region:
  description: The region that it reports to; empty when it can't tell.
  returned: success
  type: str
agent_version:
  description: The agent's version; empty when it can't tell.
  returned: success
  type: str
errors:
  description: What is missing.
  returned: always
  type: list
  elements: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._agents.evidence import json_object, registration_errors
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.systemd import Unit

POLL_SECONDS = 1
REMEDY = (
    "Check the instance profile (AmazonSSMManagedInstanceCore), the route or VPC endpoints to ssm and ssmmessages, and "
    "`journalctl -u amazon-ssm-agent`; the agent registers by itself once it can."
)
clock = getattr(time, "monotonic", time.time)


def look(module):
    # type: (AnsibleModule) -> list[str]
    rc, out, err = module.run_command(["ssm-cli", "get-diagnostics", "--output", "json"])
    if rc:
        # ssm-cli prints its error on stdout, after its usage.
        return ["ssm-cli get-diagnostics ended with {0}: {1}".format(rc, (out + err).strip()[-300:])]
    try:
        return registration_errors(out)
    except ValueError as error:
        return [
            "ssm-cli get-diagnostics gave no diagnostics ({0}); SSM Agent 3.1.501.0 or later is needed".format(error)
        ]


def identity(module):
    # type: (AnsibleModule) -> dict[str, str]
    """What the agent goes by; empty texts where there is no agent to ask."""
    rc, out = 1, ""
    if module.get_bin_path("ssm-cli") is not None:
        rc, out, _err = module.run_command(["ssm-cli", "get-instance-information"])
    try:
        seen = json_object(out, "instance-id") if rc == 0 else {}
    except ValueError:
        seen = {}
    return {
        "instance_id": seen.get("instance-id", ""),
        "region": seen.get("region", ""),
        "agent_version": seen.get("release-version", ""),
    }


def run_service(module):
    # type: (AnsibleModule) -> bool
    """Whether there was something to do (or would be, in check mode) for the unit to run now and at boot."""
    if not module.params["service"]:
        return False
    unit = Unit(module.run_command, module.params["service"])
    steps = unit.missing_steps(True, True)
    for step in [] if module.check_mode else steps:
        refused = unit.do(step)
        if refused:
            module.fail_json(
                msg="{0}. See `journalctl -u {1}`; then run this again.".format(refused, module.params["service"]),
                errors=[refused],
            )
    return bool(steps)


def main():
    # type: () -> None
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str"},
            "timeout_seconds": {"type": "float", "default": 60},
            "required": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    changed = run_service(module)
    if module.get_bin_path("ssm-cli") is None:
        errors = ["ssm-cli is not on this host; install the package amazon-ssm-agent"]
    else:
        deadline = clock() + (0 if module.check_mode else module.params["timeout_seconds"])
        errors = look(module)
        while errors and clock() < deadline:
            time.sleep(POLL_SECONDS)
            errors = look(module)
    if errors:
        message = "What the SSM agent needs is missing after {0:g} s: {1}. {2}".format(
            module.params["timeout_seconds"], "; ".join(errors), REMEDY
        )
        if module.params["required"] and not module.check_mode:
            module.fail_json(msg=message + " Then run this again.", errors=errors)
        module.warn(message)
    module.exit_json(changed=changed, can_register=not errors, errors=errors, **identity(module))


if __name__ == "__main__":
    main()
