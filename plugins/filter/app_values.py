# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter of the role app_runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils._app import command
from ansible_collections.ecommerce.fleet.plugins.plugin_utils._app import values as app_values


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "app_environment": app_values.environment_file,
            "app_program": app_values.program,
            "command_words": command.words,
        }
