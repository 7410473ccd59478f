# Copyright: The ecommerce.fleet maintainers
# MIT License
"""Whether a unit runs and starts at boot, and what to do about it. Runs on the hosts, under Python 2.7 and 3.7+.

M(ansible.builtin.systemd_service) in a task of its own would be one more remote execution, and takes 0.5 s for it.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.ecommerce.fleet.plugins.module_utils.service_watch import parse_show

# `static` and the others have no [Install] section: there is nothing to enable.
STARTS_AT_BOOT = ("enabled", "static", "indirect", "generated", "alias")
RUNS = ("active", "activating", "reloading")


def missing_steps(shown, enabled, running):
    """The verbs of systemctl that bring a unit there: `enable` or `disable`, `start` or `stop`; none if it is there.

    `shown`: ActiveState and UnitFileState of `systemctl show`. `enabled`, `running`: True, False or None for whatever it is.
    """
    steps = []
    if enabled is not None and (shown.get("UnitFileState") in STARTS_AT_BOOT) != enabled:
        steps.append("enable" if enabled else "disable")
    if running is not None and (shown.get("ActiveState") in RUNS) != running:
        steps.append("start" if running else "stop")
    return steps


class Unit:
    """`run` is AnsibleModule.run_command."""

    def __init__(self, run, name):
        self.run = run
        self.name = name

    def show(self, properties="ActiveState,UnitFileState"):
        """The properties by name; of a unit that does not exist, too."""
        _code, out, _err = self.run(["systemctl", "show", self.name, "-p", properties])
        return parse_show(out)

    def missing_steps(self, enabled, running):
        return missing_steps(self.show(), enabled, running)

    def do(self, verb):
        """Returns None, or what went wrong."""
        code, out, err = self.run(["systemctl", verb, self.name])
        return (
            "systemctl %s %s ended with code %s: %s" % (verb, self.name, code, (err or out).strip()) if code else None
        )
