# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role nginx: its own directives together with those of the user's snippets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ecommerce.fleet.plugins.plugin_utils import nginx_snippets as pure

DOCUMENTATION = r"""
name: nginx_completed
short_description: A snippet of nginx directives with the headers that its blocks would lose
version_added: 0.2.0
author: The ecommerce.fleet maintainers (@ecommerce-fleet)
description:
  - nginx drops directives such as C(add_header) that a block would inherit once the block has one of its own.
  - This filter puts those of the role before the block's own, unless the block sets the same name.
positional: inherited
options:
  _input:
    description: The snippet's text.
    type: str
    required: true
  inherited:
    description: The directives that a block inherits from the role.
    type: str
    required: true
"""

EXAMPLES = r"""
text: "{{ snippet.content | ecommerce.fleet.nginx_completed('add_header X-Frame-Options DENY always;') }}"
"""

RETURN = r"""
_value:
  description: The text with those directives.
  type: str
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "nginx_completed": pure.completed,
            "nginx_files_read": pure.files_read,
            "nginx_own_directives": pure.own_directives,
            "nginx_with_own": pure.with_own,
        }
