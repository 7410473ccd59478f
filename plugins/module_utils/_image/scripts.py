# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that a test host runs (ssm/scripts): the action plugin image_test reads them, since a module carries no other files with it."""

from __future__ import annotations

import shlex

NAMES = ("image_probe", "image_login_key", "image_login", "image_audit", "power_off_later")


def with_values(script: str, **values: object) -> str:
    """The script with its variables set behind the first line, which names the shell."""
    first, _newline, rest = script.partition("\n")
    return "\n".join([first, *(f"{name}={shlex.quote(str(value))}" for name, value in values.items()), rest])
