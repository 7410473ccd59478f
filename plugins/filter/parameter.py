# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks read from Parameter Store: whoever may write there may have written something else."""

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._inputs import fleet_rules


def json_parameter(text: Any, name: str) -> dict[str, Any]:
    """The JSON object that is the parameter's value; empty for one that is not there.

    `name`: of the parameter, for the message. Raises AnsibleFilterError for any other value.
    """
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise AnsibleFilterError(f"Parameter {name} is no JSON object; look at who wrote it, and correct or delete it.")
    return found


def release_parameter(text: Any, name: str) -> dict[str, Any]:
    """The release that is the parameter's value, whole; empty for one that is not there. Raises AnsibleFilterError."""
    found = json_parameter(text, name)
    if wrong := found and fleet_rules.violations(frozenset(), {"fleet_release": found}, frozenset()):
        sentences = " ".join(wrong).replace("fleet_release", "it")
        raise AnsibleFilterError(
            f"Parameter {name} is no release: {sentences} Publish one with ecommerce.fleet.publish_release."
        )
    return found


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"json_parameter": json_parameter, "release_parameter": release_parameter}
