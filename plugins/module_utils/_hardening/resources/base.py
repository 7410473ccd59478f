# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every resource type is made of."""

from __future__ import absolute_import, division, print_function

from ..._host.errors import HostError
from ..compare import accepted, desired_text, difference

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

    from ..compare import Difference  # noqa: F401
    from ..host import Host  # noqa: F401


class NotApplicableError(Exception):
    """The control means nothing on this host; says why."""


class Found(object):
    """What was read: ``values`` maps what was looked at to what was found (None: not set).

    ``beyond`` maps those of them that can't be changed on this machine to the reason.
    """

    def __init__(self, values, beyond=None):
        # type: (Dict[str, Any], Optional[Dict[str, str]]) -> None
        self.values = values
        self.beyond = beyond or {}


class Resource(object):
    """A type. ``fields``: what its ``state`` may have, name -> kind, with ``!`` for what it must have; the register is checked against it.

    ``desired``: the value of everything found, or what was looked at -> its value. ``guard``: the name of the lock-out guard's group whose
    proof must follow a change. ``may_depend``: whether a change that failed may work once other controls pass.
    """

    name = ""
    fields = {}  # type: Dict[str, str]
    guard = None  # type: Optional[str]
    may_depend = False
    desired = "yes"  # type: Any

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        raise NotImplementedError

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        """How the host differs; empty if it does not: by default, what is not as ``desired``. Pure."""
        desired = self.desired if isinstance(self.desired, dict) else dict.fromkeys(found.values, self.desired)
        wrong = [item for item in sorted(found.values.items()) if item[1] != desired[item[0]]]
        return [difference(what, desired[what], value) for what, value in wrong]

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        """Make it so. Raises HostError where that takes a person."""
        raise HostError("needs a person: there is no safe automatic change")


class ValueResource(Resource):
    """One whose ``state`` has the ``value`` of everything that is found, or what else to ``accept`` (see compare.accepted)."""

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        value, accept = state["value"], state.get("accept")
        wrong = [item for item in sorted(found.values.items()) if not accepted(item[1], value, accept)]
        return [difference(what, desired_text(value, accept), there) for what, there in wrong]


def listed(value):
    # type: (Any) -> List[Any]
    """A list of one for a single value; [] for None."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
