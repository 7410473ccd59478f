"""What every resource type is made of."""

from __future__ import absolute_import, division, print_function

from ..system import HardeningError

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
    """A type. ``fields``: what its ``state`` may hold, name -> kind, with ``!`` for what it must hold; the register is checked against it.

    ``guard``: the name of the lock-out guard's group whose proof must follow a change. ``may_depend``: whether a change that failed may
    work once other controls hold.
    """

    name = ""
    fields = {}  # type: Dict[str, str]
    guard = None  # type: Optional[str]
    may_depend = False

    def read(self, host, state):
        # type: (Host, Dict[str, Any]) -> Found
        raise NotImplementedError

    def diff(self, state, found):
        # type: (Dict[str, Any], Found) -> List[Difference]
        """How the host differs; empty if it does not. Pure."""
        raise NotImplementedError

    def apply(self, host, state, found):
        # type: (Host, Dict[str, Any], Found) -> None
        """Make it so. Raises HardeningError where that takes a person."""
        raise HardeningError("needs a person: there is no safe automatic change")


def listed(value):
    # type: (Any) -> List[Any]
    """A list of one for a single value; [] for None."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
