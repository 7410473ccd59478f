#!/usr/bin/python
# Copyright (c) 2026 The ecommerce.fleet maintainers
# MIT License (see LICENSE)
"""Configure a service that reads its files only when it starts, and prove that it lives with them."""
# ruff: noqa: UP001, UP010, UP020, UP030, UP032, RUF005, PTH110, PTH116, PTH207

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: service_config
short_description: Configure a service, restart it on change, and put the files back unless it lives with them
version_added: 0.1.0
description:
  - Stages the files beside their targets, lets their checkers judge them, and swaps them in only when every one passes.
  - If one has changed or the unit does not run, restarts the unit and watches it. It lives once it has been active with the same main
    process for O(settle_seconds) and its log has gained no line that matches O(error_pattern). M(ansible.builtin.systemd_service) calls
    a service that dies a second later a success.
  - If it does not live, puts the files back, restarts it with them, and fails with the service's own words.
  - For services that can reload, see M(ecommerce.fleet.staged_files).
options:
  name:
    description: Name of the unit.
    type: str
    required: true
  files:
    description: Files with their whole content.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Where the file belongs., type: path, required: true}
      content: {description: The whole content., type: str}
      secret_content: {description: "The same for a secret, instead of O(files[].content): it is never shown.", type: str}
      mode: {description: Permissions., type: str, default: "0644"}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      validate:
        description: A command that exits 0 if the staged file is right. C(%s) stands for its path.
        type: list
        elements: str
        default: []
      show_diff: {description: Whether C(--diff) may show the content., type: bool, default: true}
  state:
    description: V(started) starts the unit, and restarts it when a file has changed. V(stopped) stops it.
    type: str
    choices: [started, stopped]
    default: started
  enabled:
    description: Whether the unit starts at boot. Without it that stays as it is.
    type: bool
  settle_seconds:
    description: How long the unit must run without ending.
    type: float
    default: 2
  timeout_seconds:
    description: Deadline of one restart.
    type: float
    default: 60
  log_path:
    description: A log file of the service. Only what it gains after the restart counts.
    type: path
  error_pattern:
    description: Regular expression of the log lines that mean failure.
    type: str
  inputs:
    description: Paths and globs that the service reads with these files. Those that match nothing are returned in RV(missing_inputs).
    type: list
    elements: path
    default: []
  inputs_required:
    description: Whether an input that matches nothing is a failure, before anything changes. Check mode only reports it.
    type: bool
    default: false
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode:
    description: Stages and validates; swaps and restarts nothing.
    support: full
  diff_mode:
    description: Shows each file.
    support: full
"""

EXAMPLES = r"""
- name: Configure the agent
  ecommerce.fleet.service_config:
    name: agent
    files:
      - path: /etc/agent.json
        content: "{{ settings | to_nice_json }}"
        validate: [agent, --check, "%s"]
    log_path: /var/log/agent.log
    error_pattern: ERROR
"""

RETURN = r"""
rewritten:
  description: Files whose content changed.
  returned: success
  type: list
  elements: str
missing_inputs:
  description: Entries of O(inputs) that match nothing on the host.
  returned: success, or a failure because of them
  type: list
  elements: str
restored:
  description: Whether the service lives with the files from before.
  returned: failure
  type: bool
log:
  description: What the log gained.
  returned: failure
  type: list
  elements: str
"""

import glob
import io
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils.file_set import FILE_OPTIONS, FileSet, RefusedError
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_state import Unit
from ansible_collections.ecommerce.fleet.plugins.module_utils.service_watch import Watch, matching_lines

POLL_SECONDS = 0.2
CONTEXT_LINES = 20
clock = getattr(time, "monotonic", time.time)


class TroubleError(Exception):
    """The unit does not live; the message says what was seen of it."""


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


def restart(module, mark):
    # type: (AnsibleModule, LogMark) -> None
    """Raises TroubleError unless the unit lives afterwards."""
    started = clock()
    unit = Unit(module.run_command, module.params["name"])
    refused = unit.do("restart")
    if refused:
        raise TroubleError(refused)
    watch = Watch(module.params["settle_seconds"])
    while True:
        verdict = watch.see(clock(), unit.show("ActiveState,SubState,MainPID,Result"))
        if verdict.startswith("dead"):
            raise TroubleError(verdict.split(": ", 1)[1])
        if matching_lines(mark.gained(), module.params["error_pattern"]):
            raise TroubleError("it runs but its log has errors")
        if verdict == "alive":
            return
        if clock() - started > module.params["timeout_seconds"]:
            raise TroubleError("it did not become active within {0:g} s".format(module.params["timeout_seconds"]))
        time.sleep(POLL_SECONDS)


def own_words(module, mark):
    # type: (AnsibleModule, LogMark) -> list[str]
    """The errors that the service logged since the mark; else the lines of its journal, latest first."""
    errors = matching_lines(mark.gained(), module.params["error_pattern"])
    if errors:
        return errors[:CONTEXT_LINES]  # type: ignore[no-any-return]
    command = ["journalctl", "_SYSTEMD_UNIT={0}.service".format(module.params["name"].replace(".service", ""))]
    out = module.run_command(command + ["-n", str(CONTEXT_LINES), "--no-pager", "-o", "cat"])[1]
    return out.splitlines()[::-1] or ["nothing"]


def bring_into_effect(module, files):
    # type: (AnsibleModule, FileSet) -> None
    """Ends the module when the unit does not live with the new files, after it has put the old ones back."""
    mark = LogMark(module.params["log_path"])
    try:
        restart(module, mark)
    except TroubleError as error:
        trouble, said = str(error), own_words(module, mark)
    else:
        return
    had_files = any(content is not None for content in files.before.values())
    files.restore()
    again = ""
    try:
        restart(module, LogMark(module.params["log_path"]))
    except TroubleError as error:
        again = str(error)
    if not had_files:
        outcome = "There were none before; they were removed."
    elif again:
        outcome = "The files from before were put back, but it does not live with them either: {0}.".format(again)
    else:
        outcome = "The files from before were put back and it runs with them."
    module.fail_json(
        msg="{0} does not live with its new files: {1}. It says: {2} - {3} See `journalctl -u {0}`{4}.".format(
            module.params["name"], trouble, said[0], outcome, " and {0}".format(mark.path) if mark.path else ""
        ),
        log=said,
        restored=had_files and not again,
    )


def matches(pattern):
    # type: (str) -> bool
    """Of a pattern with `**`, which Python 2.7 doesn't know, only the directories before it are looked for."""
    return bool(glob.glob(pattern.split("**")[0]))


def missing_inputs(module):
    # type: (AnsibleModule) -> list[str]
    """Ends the module when one is missing that must be there."""
    missing = [pattern for pattern in module.params["inputs"] if not matches(pattern)]
    if missing and module.params["inputs_required"] and not module.check_mode:
        message = "Nothing on this host matches {0}, so {1} would read nothing there. Nothing was changed."
        module.fail_json(
            msg=message.format(", ".join(missing), module.params["name"]), missing_inputs=missing, restored=False
        )
    return missing


def do_steps(module, unit, steps):
    # type: (AnsibleModule, Unit, list[str]) -> None
    for step in steps:
        trouble = unit.do(step)
        if trouble:
            module.fail_json(msg="{0} has its files, but {1}.".format(module.params["name"], trouble), restored=False)


def main():
    # type: () -> None
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "required": True, "options": FILE_OPTIONS},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "enabled": {"type": "bool"},
            "settle_seconds": {"type": "float", "default": 2},
            "timeout_seconds": {"type": "float", "default": 60},
            "log_path": {"type": "path"},
            "error_pattern": {"type": "str"},
            "inputs": {"type": "list", "elements": "path", "default": []},
            "inputs_required": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    missing = missing_inputs(module)
    files = FileSet(module, module.params["files"])
    rewritten, diff = files.rewritten, files.diff()
    try:
        files.validate()
    except RefusedError as refusal:
        message = "The new files of {0} are wrong, so nothing was changed. About {1}: {2}"
        module.fail_json(msg=message.format(module.params["name"], refusal.path, refusal.output), restored=False)
    unit, runs = Unit(module.run_command, module.params["name"]), module.params["state"] == "started"
    steps = unit.missing_steps(module.params["enabled"], runs)
    if module.check_mode:
        files.discard()
        changed = files.attributes_differ() or bool(rewritten or steps)
    else:
        changed = files.swap() or bool(steps)
        if runs and (rewritten or "start" in steps):
            bring_into_effect(module, files)
        do_steps(module, unit, [step for step in steps if step != "start"])
    module.exit_json(changed=changed, rewritten=rewritten, missing_inputs=missing, diff=diff)


if __name__ == "__main__":
    main()
