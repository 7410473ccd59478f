# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the role inspector: which values its variables may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

PATH = re.compile(r"(?:/(?:\.[-\w]+|[-\w]+(?:\.[-\w]+)?))+/?", re.ASCII)
"""The pattern of packagePaths in UpdateEc2DeepInspectionConfiguration (Inspector API Reference)."""
MAX_PATHS = 5
INSTANCE = re.compile(r"(i|mi)-[0-9a-f]{8,17}")


def violations(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that is not allowed. `values`: the role's variables without their prefix."""
    found = []
    paths = values["deep_inspection_paths"]
    if len(paths) > MAX_PATHS or not all(PATH.fullmatch(path) for path in paths):
        found.append(
            f"inspector_deep_inspection_paths is {', '.join(paths)}; allowed: at most {MAX_PATHS} absolute paths without spaces and with "
            "at most one dot in each part, as Inspector takes them."
        )
    if boolean(values["check_account"]) and not INSTANCE.fullmatch(values["instance_id"]):
        found.append(
            f"inspector_instance_id is {values['instance_id']}; allowed: the id of an instance, as in i-0123456789abcdef0. It is the "
            "host's name in the inventory unless it is set; inspector_check_account needs it."
        )
    return found
