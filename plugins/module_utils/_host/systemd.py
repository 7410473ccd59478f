# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's units: their state, what is missing, changing it, watching a start, their journal.

Runs on the hosts, under Python 2.7 and 3.7+, also where no Ansible is. `run` is always AnsibleModule.run_command or takes and returns the
same: run(argv) -> (exit code, output, errors). M(ansible.builtin.systemd_service) in a task of its own would be one more remote execution.
"""

from __future__ import absolute_import, division, print_function

import time

from .encoding import LINES, printable
from .errors import HostError

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Callable, Dict, List, Optional, Tuple  # noqa: F401

    Run = Callable[[List[str]], Tuple[int, str, str]]

SECONDS = 120
"""The longest that a start or stop may take: more than systemd's own 90."""
POLL_SECONDS = 0.2
# `static` and the others have no [Install] section: there is nothing to enable.
STARTS_AT_BOOT = ("enabled", "static", "indirect", "generated", "alias")
RUNS = ("active", "activating", "reloading")
STATE = ("ActiveState", "UnitFileState")
LIFE = ("ActiveState", "SubState", "MainPID", "Result")
clock = getattr(time, "monotonic", time.time)


class SystemdError(HostError):
    """systemd can't be asked: the command, its exit code and output."""


def parse_show(text):
    # type: (str) -> List[Dict[str, str]]
    """The properties of each unit in the output of `systemctl show`, where an empty line separates units."""
    blocks = text.strip().split("\n\n")
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]


def show(run, names, properties=STATE):
    # type: (Run, List[str], Tuple[str, ...]) -> Dict[str, Dict[str, str]]
    """{unit: {property: value}} by one call, also of units that do not exist. Raises SystemdError."""
    if not names:
        return {}
    argv = ["systemctl", "show", "-p", ",".join(properties)] + list(names)
    code, out, err = run(argv)
    found = parse_show(out)
    if code != 0 or len(found) != len(names):
        raise SystemdError(_failure(argv, code, err or out))
    return dict(zip(names, found))


def do(run, *words):
    # type: (Run, *str) -> Optional[str]
    """Runs `systemctl WORDS`. Returns None, or a sentence with systemd's reason."""
    argv = ["systemctl"] + list(words)
    code, out, err = run(["timeout", str(SECONDS)] + argv)
    return _failure(argv, code, err or out) if code else None


def listed(run, patterns, *options):
    # type: (Run, List[str], *str) -> Dict[str, str]
    """{unit: ActiveState} of the units in memory whose names match the patterns (with their suffix). Raises SystemdError."""
    argv = ["systemctl", "list-units", "--plain", "--no-legend", "--full"] + list(options) + patterns
    code, out, err = run(argv)
    if code != 0:
        raise SystemdError(_failure(argv, code, err or out))
    rows = [line.replace("*", " ").split() for line in out.splitlines()]
    return dict((row[0], row[2]) for row in rows if len(row) > 3)


def enabled(run, names):
    # type: (Run, List[str]) -> List[str]
    """Which of the units are enabled. By is-enabled: of a template's instance, `show` gives the template's state in systemd 219."""
    states = run(["systemctl", "is-enabled"] + names)[1].splitlines() if names else []
    return [name for name, state in zip(names, states) if state == "enabled"] if len(states) == len(names) else []


def missing_steps(shown, at_boot, running):
    # type: (Dict[str, str], Optional[bool], Optional[bool]) -> List[str]
    """The verbs of systemctl that bring a unit there: `enable` or `disable`, `start` or `stop`; none if it is there.

    `shown`: the STATE of a unit. `at_boot` (starts at boot), `running`: True, False or None for whatever it is.
    """
    steps = []
    if at_boot is not None and (shown.get("UnitFileState") in STARTS_AT_BOOT) != at_boot:
        steps.append("enable" if at_boot else "disable")
    if running is not None and (shown.get("ActiveState") in RUNS) != running:
        steps.append("start" if running else "stop")
    return steps


def has_ended(shown):
    # type: (Dict[str, str]) -> bool
    """Whether a unit that was started has ended by itself; systemd may be about to start it again."""
    return shown.get("ActiveState", "unknown") not in RUNS or shown.get("SubState") == "auto-restart"


class Unit:
    """One unit."""

    def __init__(self, run, name):
        # type: (Run, str) -> None
        self.run = run
        self.name = name
        self.since = None  # type: Optional[float]

    def mark(self):
        # type: () -> None
        """From now on `journal` leaves out what was printed before: of a start that failed earlier, of the process before."""
        self.since = time.time()

    def show(self, properties=STATE):
        # type: (Tuple[str, ...]) -> Dict[str, str]
        """The properties by name; none where systemd can't be asked: the step that follows says why."""
        try:
            return show(self.run, [self.name], properties)[self.name]
        except SystemdError:
            return {}

    def missing_steps(self, at_boot, running):
        # type: (Optional[bool], Optional[bool]) -> List[str]
        return missing_steps(self.show(), at_boot, running)

    def do(self, verb):
        # type: (str) -> Optional[str]
        """Returns None, or a sentence with systemd's reason."""
        return do(self.run, verb, self.name)

    def journal(self, lines, own=True):
        # type: (int, bool) -> List[str]
        """The last lines of its journal, oldest first: what its processes printed; unless `own`, also what systemd logged about it."""
        name = self.name if "." in self.name else self.name + ".service"
        which = "_SYSTEMD_UNIT=" + name if own else "--unit=" + name
        # With both options systemd 219 gives the first lines since then.
        part = "--lines=%d" % lines if self.since is None else "--since=@%.6f" % self.since
        out = self.run(["timeout", "10", "journalctl", which, part, "--quiet", "--no-pager", "--output=cat"])[1]
        return [printable(line.strip(), LINES) for line in out.splitlines() if line.strip()][-lines:]

    def settle(self, settle_seconds, timeout_seconds, violation=None):
        # type: (float, float, Optional[Callable[[], Optional[str]]]) -> Optional[str]
        """Watches it after a start. Returns None once it has settled (see Watch), else a sentence.

        `violation()` is asked at each look: a sentence ends the watch as a failure.
        """
        watch, deadline = Watch(settle_seconds), clock() + timeout_seconds + settle_seconds
        while True:
            ended, settled = watch.see(clock(), self.show(LIFE))
            violated = ended or (violation() if violation else None)
            if violated or settled:
                return violated
            if clock() > deadline:
                return "it did not become active within %g s" % timeout_seconds
            time.sleep(POLL_SECONDS)


class Watch:
    """Decides about a unit from repeated looks at its state: it has ended, has settled, or it is too early to say."""

    def __init__(self, settle_seconds):
        # type: (float) -> None
        self.settle_seconds = settle_seconds
        self.process = ""
        self.since = 0.0

    def see(self, now, shown):
        # type: (float, Dict[str, str]) -> Tuple[Optional[str], bool]
        """(why it has ended or None, whether it was active with the same main process for the settling time).

        `now`: seconds of any steady clock. `shown`: the LIFE properties of the unit.
        """
        state, result = shown.get("ActiveState", "unknown"), shown.get("Result", "unknown")
        if shown.get("SubState") == "auto-restart":
            return "it ended (%s) and systemd will try again" % result, False
        if has_ended(shown):
            return "it is %s (%s)" % (state, result), False
        if state != "active":
            self.process = ""
            return None, False
        process = shown.get("MainPID", "0")
        if process != self.process:
            self.process, self.since = process, now
        return None, now - self.since >= self.settle_seconds


def _failure(argv, code, output):
    # type: (List[str], int, str) -> str
    return "%s ended with code %s: %s" % (" ".join(argv), code, printable(output.strip(), LINES) or "no output")
