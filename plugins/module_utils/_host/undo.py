# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing what has failed, step by step: a step that fails too is named, and the others are still taken.

Runs on the hosts, under Python 2.7 and 3.7+, and on the control node.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Callable, List, Optional  # noqa: F401


def undo(*steps):
    # type: (*Callable[[], Optional[List[str]]]) -> List[str]
    """Take all steps, in this order; answers what could not be undone, a sentence each. A step returns such sentences, or raises."""
    left = []  # type: List[str]
    for step in steps:
        try:
            left += step() or []
        except Exception as error:  # whatever it is, the steps that follow still matter
            left.append("%s" % error)
    return left


def outcome(left):
    # type: (List[str]) -> str
    """What became of an undo, for a message."""
    return "Not everything could be restored: %s" % "; ".join(left) if left else "Everything was restored"
