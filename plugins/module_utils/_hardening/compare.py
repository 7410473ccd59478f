# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a value that was found is as good as the value that is desired. Pure."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple  # noqa: F401

    Difference = Tuple[str, str, str]

CONDITIONS = ("at_least", "at_most", "one_of", "none_of", "subset_of", "prefix")


def text(value):
    # type: (Any) -> str
    """The value as configuration files write it: YAML's booleans become yes and no, lists are joined by commas."""
    if isinstance(value, (list, tuple)):
        return ",".join(text(item) for item in value)
    if value is True:
        return "yes"
    if value is False:
        return "no"
    return " ".join(("%s" % (value,)).split())


def number(value):
    # type: (Any) -> Optional[int]
    try:
        return int(("%s" % (value,)).strip(), 10)
    except ValueError:
        return None


def accepted(found, value, accept=None):
    # type: (Optional[Any], Any, Optional[Dict[str, Any]]) -> bool
    """Whether ``found`` will do. Without ``accept`` it must equal ``value``; with it, every condition must be met.

    ``at_least``, ``at_most``: whole numbers; ``one_of``, ``none_of``: lists of words; ``subset_of``: the comma-separated words found are
    among those listed; ``prefix``: the beginning of what was found. None, not set, is never accepted.
    """
    if found is None:
        return False
    if not accept:
        return text(found).lower() == text(value).lower()
    return all(_passes(text(found).lower(), name, desired) for name, desired in accept.items())


def _passes(found, condition, desired):
    # type: (str, str, Any) -> bool
    if condition in ("at_least", "at_most"):
        value, limit = number(found), number(desired)
        if value is None or limit is None:
            return False
        return value >= limit if condition == "at_least" else value <= limit
    if condition == "prefix":
        return found.startswith(text(desired).lower())
    if condition not in CONDITIONS:
        raise ValueError("unknown condition '%s'; known: %s" % (condition, ", ".join(CONDITIONS)))
    words = [text(word).lower() for word in desired]
    if condition == "one_of":
        return found in words
    if condition == "none_of":
        return found not in words
    return all(word.strip() in words for word in found.split(","))


def desired_text(value, accept=None):
    # type: (Any, Optional[Dict[str, Any]]) -> str
    """What is desired, for a person."""
    if not accept:
        return text(value)
    parts = []  # type: List[str]
    for name, desired in sorted(accept.items()):
        shown = ", ".join(text(w) for w in desired) if isinstance(desired, (list, tuple)) else text(desired)
        parts.append("%s %s" % (name.replace("_", " "), shown))
    return " and ".join(parts)


def difference(what, desired, found):
    # type: (str, Any, Any) -> Difference
    """One way in which a host is not as it should be: (what, desired, found), each for a person."""
    return (what, text(desired), "not set" if found is None else text(found))
