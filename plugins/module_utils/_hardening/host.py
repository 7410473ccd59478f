# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that controls are evaluated on."""

from __future__ import absolute_import, division, print_function

from .._host import host

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    from .._host.system import System  # noqa: F401


class Host(host.Host):
    """With what an enforcing run leaves to do."""

    def __init__(self, system, in_use=None, release=None, container=None):
        # type: (System, Optional[Dict[str, List[Any]]], Optional[str], Optional[bool]) -> None
        super(Host, self).__init__(system, in_use, release, container)
        self.after = []  # type: List[Tuple[str, str]]
        """Units to restart or reload once everything is written: (verb, unit)."""
        self.enforcing = False
        """Whether what is non-compliant is fixed, by the run that other roles may come after."""
        self.unproven = False
        """Whether a packet filter was loaded that the host undoes by itself unless somebody outside gets in and confirms it."""

    def later(self, verb, unit):
        # type: (str, str) -> None
        """Have a unit restarted or reloaded (``verb``) once everything is written."""
        if (verb, unit) not in self.after:
            self.after.append((verb, unit))
