#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Wait until the SSM agent on this host can be managed, by its own diagnostics."""
# ruff: noqa: UP001, UP010, UP030, UP032

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: ssm_registration
short_description: Wait until the SSM agent on this host can be managed
version_added: 0.1.0
description:
  - Runs C(ssm-cli get-diagnostics) until the agent reaches the instance metadata, has credentials, runs, and reaches Systems Manager.
  - With O(service) it starts the agent first and enables it; otherwise it changes nothing.
  - What Systems Manager itself thinks of the host is M(ecommerce.fleet.ssm_online)'s question.
options:
  service:
    description: The agent's unit, which is to run now and at boot.
    type: str
  timeout_seconds:
    description: Deadline of the wait; 0 looks once.
    type: float
    default: 60
  required:
    description: Whether an agent that can't be managed in time is a failure. Otherwise it is reported in RV(faults).
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
- name: Prove that the agent can be managed
  ecommerce.fleet.ssm_registration:
    service: amazon-ssm-agent
    timeout_seconds: 30
"""

RETURN = r"""
managed:
  description: Whether all checks passed.
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
faults:
  description: What is missing.
  returned: always
  type: list
  elements: str
"""

import json
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils.agent_evidence import registration_faults
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_state import Unit

POLL_SECONDS = 1
clock = getattr(time, "monotonic", time.time)


def look(module):
    # type: (AnsibleModule) -> list[str]
    rc, out, err = module.run_command(["ssm-cli", "get-diagnostics", "--output", "json"])
    if rc:
        return ["ssm-cli get-diagnostics ended with {0}: {1}".format(rc, (err or out).strip())]
    try:
        return registration_faults(out)  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError) as error:
        return [
            "ssm-cli get-diagnostics gave no usable answer ({0!r}); SSM Agent 3.1.501.0 or later is needed".format(
                error
            )
        ]


def identity(module):
    # type: (AnsibleModule) -> dict[str, str]
    """What the agent goes by; empty texts where there is no agent to ask."""
    rc, out = 1, ""
    if module.get_bin_path("ssm-cli") is not None:
        rc, out, _err = module.run_command(["ssm-cli", "get-instance-information"])
    try:
        seen = json.loads(out) if rc == 0 else {}
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
        trouble = unit.do(step)
        if trouble:
            module.fail_json(
                msg="{0}. See `journalctl -u {1}`; then run this again.".format(trouble, module.params["service"]),
                faults=[trouble],
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
        faults = ["ssm-cli is not on this host; install the package amazon-ssm-agent"]
    else:
        deadline = clock() + (0 if module.check_mode else module.params["timeout_seconds"])
        faults = look(module)
        while faults and clock() < deadline:
            time.sleep(POLL_SECONDS)
            faults = look(module)
    if faults and module.params["required"] and not module.check_mode:
        module.fail_json(
            msg="The SSM agent can't be managed after {0:g} s: {1}. Check the instance profile (AmazonSSMManagedInstanceCore), the route "
            "or VPC endpoints to ssm and ec2messages, and `journalctl -u amazon-ssm-agent`; then run this again.".format(
                module.params["timeout_seconds"], "; ".join(faults)
            ),
            faults=faults,
        )
    module.exit_json(changed=changed, managed=not faults, faults=faults, **identity(module))


if __name__ == "__main__":
    main()
