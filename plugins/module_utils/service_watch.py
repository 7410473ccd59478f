"""Whether a unit that was just started lives: decisions as pure functions. Runs on the hosts, under Python 2.7 and 3.7+."""
# ruff: noqa: UP001, UP010, UP030

from __future__ import absolute_import, division, print_function

import re

__metaclass__ = type

STARTING = ("activating", "reloading")


def parse_show(text):
    # type: (str) -> dict[str, str]
    """The `key=value` lines of `systemctl show`."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def matching_lines(text, pattern):
    # type: (str, str | None) -> list[str]
    """The lines that contain the regular expression; none without one."""
    return [line for line in text.splitlines() if re.search(pattern, line)] if pattern else []


class Watch:
    """Judges a unit from what is seen of it again and again: dead, alive, or too early to say."""

    def __init__(self, settle_seconds):
        # type: (float) -> None
        self.settle_seconds = settle_seconds
        self.process = ""
        self.since = 0.0

    def see(self, now, unit):
        # type: (float, dict[str, str]) -> str
        """`alive` once the unit is active with the same main process for the settling time; `dead: why`; else `wait`.

        `now`: seconds of any steady clock. `unit`: ActiveState, SubState, MainPID and Result of `systemctl show`.
        """
        state, sub = unit.get("ActiveState", "unknown"), unit.get("SubState", "")
        if sub == "auto-restart":
            return "dead: it ended ({0}) and systemd will try again".format(unit.get("Result", "unknown"))
        if state in STARTING:
            self.process = ""
            return "wait"
        if state != "active":
            return "dead: it is {0} ({1})".format(state, unit.get("Result", "unknown"))
        process = unit.get("MainPID", "0")
        if process != self.process:
            self.process, self.since = process, now
        return "alive" if now - self.since >= self.settle_seconds else "wait"
