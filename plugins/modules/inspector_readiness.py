#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report whether a host is ready for Amazon Inspector, and keep the report as a local fact."""
# ruff: noqa: UP001, UP010, UP020, UP030, UP024, RUF005, PTH103, PTH108, PTH110, PTH112, PTH114, PTH118, PTH119, PTH120, PTH207

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: inspector_readiness
short_description: Report whether this host is ready for Amazon Inspector
version_added: 0.1.0
description:
  - Looks at what Inspector v2 needs on a host. No agent of Inspector Classic, a running SSM agent, and the deep-inspection paths.
  - What only the account can answer (whether Inspector is enabled, its associations and custom paths) is V(unknown), never V(ok). Give the
    answers of M(ecommerce.fleet.inspector_account) as O(account_findings) to have them in the report.
  - Writes the report to a local fact, without times, so that it changes only when an answer does.
options:
  service:
    description: The SSM agent's unit.
    type: str
    default: amazon-ssm-agent
  paths:
    description: Deep-inspection paths that must be there.
    type: list
    elements: path
    default: []
  remove_classic:
    description: Delete what the package of Inspector Classic's agent has left (its directory, units, init script, cron entries).
    type: bool
    default: false
  account_findings:
    description: Further findings for the report, each with name, state and detail.
    type: list
    elements: dict
    default: []
  required:
    description: Whether a host that is not ready is a failure. Never in check mode.
    type: bool
    default: false
  fact:
    description: Where the report is kept, as V(ansible_local.inspector).
    type: path
    default: /etc/ansible/facts.d/inspector.fact
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode:
    description: Reports, deletes and writes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Report the readiness
  ecommerce.fleet.inspector_readiness:
    paths: [/opt/shop]
"""

RETURN = r"""
ready:
  description: Whether nothing that the host itself must bring is missing.
  returned: success
  type: bool
removed:
  description: What Inspector Classic had left and is deleted now (or would be, in check mode).
  returned: success
  type: list
  elements: str
findings:
  description: One entry per question with name, state (ok, missing, unknown) and detail.
  returned: success
  type: list
  elements: dict
"""

import glob
import json
import os
import shutil

MYPY = False
if MYPY:
    from typing import Any  # noqa: F401 - in type comments, which Python 2.7 skips

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text
from ansible_collections.ecommerce.fleet.plugins.module_utils._agents.evidence import readiness, ready
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import systemd
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.errors import HostError
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.system import System

CLASSIC = (
    "/opt/aws/awsagent",
    "/etc/init.d/awsagent*",
    "/etc/cron.*/awsagent*",
    "/etc/systemd/system/awsagent*.service",
    "/usr/lib/systemd/system/awsagent*.service",
)
"""The agent wrote its logs and updates below its directory, which its package does not own and leaves behind."""
PLUGIN = "/opt/aws/inspector/bin/inspectorssmplugin"
INVENTORY = "/var/lib/amazon/ssm/*/inventory/contentHash"


def classic_files():
    # type: () -> list[str]
    return sorted(path for pattern in CLASSIC for path in glob.glob(pattern))


def remove_classic(module, paths):
    # type: (AnsibleModule, list[str]) -> None
    """Units are stopped first: a process goes on without its files."""
    units = [os.path.basename(path) for path in paths if path.endswith(".service")]
    if units:
        systemd.do(module.run_command, "disable", "--now", *units)
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    if units:
        systemd.do(module.run_command, "daemon-reload")


def observe(module, classic):
    # type: (AnsibleModule, list[str]) -> dict[str, Any]
    return {
        "classic": classic,
        "service": module.params["service"],
        "service_state": systemd.Unit(module.run_command, module.params["service"])
        .show()
        .get("ActiveState", "unknown"),
        "plugin": PLUGIN if os.path.exists(PLUGIN) else "",
        "inventory": (sorted(glob.glob(INVENTORY)) or [""])[0],
        "paths": {path: os.path.exists(path) for path in module.params["paths"]},
    }


def keep(module, text):
    # type: (AnsibleModule, Any) -> dict[str, Any]
    """Writes the fact, a text, if it differs; returns the module's diff."""
    target, system = module.params["fact"], System()
    try:
        before = system.read(target) or ""
        if before != text and not module.check_mode:
            system.write(target, text, 0o644)
    except HostError as error:
        module.fail_json(msg="Keeping the report: {0}".format(error))
    return {"before": before, "after": text, "before_header": target, "after_header": target}


def main():
    # type: () -> None
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "default": "amazon-ssm-agent"},
            "paths": {"type": "list", "elements": "path", "default": []},
            "remove_classic": {"type": "bool", "default": False},
            "account_findings": {"type": "list", "elements": "dict", "default": []},
            "required": {"type": "bool", "default": False},
            "fact": {"type": "path", "default": "/etc/ansible/facts.d/inspector.fact"},
        },
        supports_check_mode=True,
    )
    classic = classic_files()
    removed = classic if module.params["remove_classic"] else []
    if removed and not module.check_mode:
        try:
            remove_classic(module, removed)
        except (IOError, OSError) as error:
            module.fail_json(msg="Deleting what Inspector Classic left ({0}): {1}".format(", ".join(removed), error))
    left = [path for path in classic if path not in removed]
    findings = readiness(observe(module, left)) + module.params["account_findings"]
    report = {"ready": ready(findings), "findings": findings}
    text = json.dumps(report, indent=2, sort_keys=True, separators=(",", ": "))
    diff = keep(module, to_text(text) + to_text("\n"))
    changed = bool(removed) or diff["before"] != diff["after"]
    if module.params["required"] and not report["ready"] and not module.check_mode:
        missing = "; ".join(finding["detail"] for finding in findings if finding["state"] == "missing")
        message = "This host is not ready for Amazon Inspector: {0}. See {1}.".format(missing, module.params["fact"])
        module.fail_json(msg=message, removed=removed, **report)
    module.exit_json(changed=changed, removed=removed, diff=diff, **report)


if __name__ == "__main__":
    main()
