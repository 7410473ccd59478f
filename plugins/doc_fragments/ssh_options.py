# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of Ansible's own connection plugin ssh, whichever this ansible-core has."""

from __future__ import annotations

import json
from typing import Any

import yaml
from ansible.plugins.connection import ssh

OF_CORE = ("version_added", "deprecated")


def _options() -> dict[str, Any]:
    """Without the versions of ansible-core in which they came or are to go: those are no versions of this collection."""

    def plain(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: plain(value) for key, value in node.items() if key not in OF_CORE}
        return [plain(item) for item in node] if isinstance(node, list) else node

    options: dict[str, Any] = plain(yaml.safe_load(ssh.DOCUMENTATION)["options"])
    return options


class ModuleDocFragment:
    """`ecommerce.fleet.ssh_options`."""

    # With its type: ansible-test takes a value without one for a plain string, which it reads itself.
    DOCUMENTATION: str = json.dumps({"options": _options()})
