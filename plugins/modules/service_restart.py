#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Restart a systemd unit and prove that it lives."""
# ruff: noqa: UP001, UP010, UP020, UP030, UP032, PTH110, PTH116

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: service_restart
short_description: Restart a systemd unit and prove that it lives afterwards
version_added: 0.1.0
description:
  - Restarts the unit and watches it. Succeeds once the unit has been active with the same main process for O(settle_seconds) and its log
    has gained no line that matches O(error_pattern).
  - Fails as soon as the unit ends, with what its log gained and its last journal lines. M(ansible.builtin.systemd_service) calls a
    service that dies a second later a success.
options:
  name:
    description: Name of the unit.
    type: str
    required: true
  settle_seconds:
    description: How long the unit must run without ending.
    type: float
    default: 2
  timeout_seconds:
    description: Deadline for all of it.
    type: float
    default: 60
  log_path:
    description: A log file of the service. Only what it gains after the restart counts.
    type: path
  error_pattern:
    description: Regular expression of the log lines that mean failure.
    type: str
  ready_pattern:
    description: Regular expression of a log line that must appear before the deadline.
    type: str
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode:
    description: Reports a change and restarts nothing.
    support: full
"""

EXAMPLES = r"""
- name: Restart the agent
  ecommerce.fleet.service_restart:
    name: amazon-cloudwatch-agent
    log_path: /opt/aws/amazon-cloudwatch-agent/logs/amazon-cloudwatch-agent.log
    error_pattern: ' E! '
"""

RETURN = r"""
seconds:
  description: How long it took until the unit counted as alive.
  returned: success
  type: float
main_pid:
  description: The main process.
  returned: success
  type: int
log:
  description: What the log gained.
  returned: failure
  type: list
  elements: str
journal:
  description: The unit's last journal lines.
  returned: failure
  type: list
  elements: str
"""

import io
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_watch import Watch, matching_lines, parse_show

POLL_SECONDS = 0.2
CONTEXT_LINES = 20
clock = getattr(time, "monotonic", time.time)


class LogMark:
    """The end of a log file at one moment; what came after it, also when the file was rotated away since."""

    def __init__(self, path):
        # type: (str | None) -> None
        self.path = path
        self.inode, self.size = self._look()

    def _look(self):
        # type: () -> tuple[int, int]
        if not self.path or not os.path.exists(self.path):
            return 0, 0
        status = os.stat(self.path)
        return status.st_ino, status.st_size

    def gained(self):
        # type: () -> str
        inode, size = self._look()
        if not inode or not self.path:
            return ""
        with io.open(self.path, "rb") as log:
            log.seek(self.size if inode == self.inode and size >= self.size else 0)
            return log.read().decode("utf-8", "replace")


def show(module, unit):
    # type: (AnsibleModule, str) -> dict[str, str]
    _rc, out, _err = module.run_command(["systemctl", "show", unit, "-p", "ActiveState,SubState,MainPID,Result"])
    return parse_show(out)  # type: ignore[no-any-return]


def fail(module, mark, what):
    # type: (AnsibleModule, LogMark, str) -> None
    unit = module.params["name"]
    _rc, out, _err = module.run_command(["journalctl", "-u", unit, "-n", str(CONTEXT_LINES), "--no-pager", "-o", "cat"])
    log = mark.gained().splitlines()[-CONTEXT_LINES:]
    errors = matching_lines("\n".join(log), module.params["error_pattern"])
    reason = errors[0] if errors else (log or out.splitlines() or ["no log line"])[-1]
    module.fail_json(
        msg="Restarting {0}: {1}. It says: {2}. See `journalctl -u {0}`{3}.".format(
            unit, what, reason, " and {0}".format(mark.path) if mark.path else ""
        ),
        log=log,
        journal=out.splitlines(),
    )


def wait_until_alive(module, mark, started):
    # type: (AnsibleModule, LogMark, float) -> int
    """Returns the main process once the unit lives; ends the module when it does not."""
    watch = Watch(module.params["settle_seconds"])
    ready = module.params["ready_pattern"]
    while True:
        verdict = watch.see(clock(), show(module, module.params["name"]))
        if verdict.startswith("dead"):
            fail(module, mark, verdict.split(": ", 1)[1])
        log = mark.gained()
        if matching_lines(log, module.params["error_pattern"]):
            fail(module, mark, "it runs but its log has errors")
        if verdict == "alive" and (not ready or matching_lines(log, ready)):
            return int(watch.process)
        if clock() - started > module.params["timeout_seconds"]:
            waited_for = "it did not become ready" if verdict == "alive" else "it did not become active"
            fail(module, mark, "{0} within {1:g} s".format(waited_for, module.params["timeout_seconds"]))
        time.sleep(POLL_SECONDS)


def main():
    # type: () -> None
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "settle_seconds": {"type": "float", "default": 2},
            "timeout_seconds": {"type": "float", "default": 60},
            "log_path": {"type": "path"},
            "error_pattern": {"type": "str"},
            "ready_pattern": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    mark = LogMark(module.params["log_path"])
    started = clock()
    rc, _out, err = module.run_command(["systemctl", "restart", module.params["name"]])
    if rc:
        fail(module, mark, "systemctl restart ended with {0} ({1})".format(rc, err.strip()))
    main_pid = wait_until_alive(module, mark, started)
    module.exit_json(changed=True, main_pid=main_pid, seconds=round(clock() - started, 2))


if __name__ == "__main__":
    main()
