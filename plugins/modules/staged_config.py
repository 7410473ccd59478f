#!/usr/bin/python
# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write configuration files so that a broken one never takes a service down."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: staged_config
short_description: Write configuration files so that a broken one never takes a service down
version_added: 0.1.0
description:
  - All files are written next to their targets first and validated by their own programs. Only when every one is valid are they swapped in,
    each by one rename.
  - Then the service takes them, by the commands of O(activate) (which should reload it) or by a restart of O(service), and has to prove
    that it runs with them. It must stay up for O(settle_seconds) with a log that gains no line of O(error_pattern), and answer O(probe).
    M(ansible.builtin.systemd_service) calls a service that ends a second later a success.
  - Without that proof the files are put back, the service is activated again, and the module fails with the service's own output.
  - When nothing has to be written the probe still runs. A service that does not run, or runs with older files than those on disk, is
    activated.
  - One remote execution whatever the number of files.
options:
  subject:
    description: What the files are, for messages.
    type: str
    required: true
  service:
    description: The unit that uses the files. One that does not run is activated, with the files it has.
    type: str
  state:
    description: V(started) has the unit of O(service) run with the files. V(stopped) stops it.
    type: str
    choices: [started, stopped]
    default: started
  enabled:
    description: Whether the unit starts at boot. Without it that stays as it is.
    type: bool
  activate:
    description: Commands that make the service use changed files, instead of a restart of O(service).
    type: list
    elements: list
    default: []
  activate_for:
    description: Activate only if one of these files changed. Empty means any of them.
    type: list
    elements: path
    default: []
  timeout_seconds:
    description: Deadline of each command of O(activate), and of the unit's start.
    type: float
    default: 90
  settle_seconds:
    description:
      - How long the unit must be active with the same main process.
      - Without it, 2 seconds after a restart; after O(activate) the unit is not watched.
    type: float
  log_path:
    description: The service's own log. What it gains while the service is activated is part of the error message.
    type: path
  error_pattern:
    description: Regular expression of lines in O(log_path) that mean failure while the unit settles.
    type: str
  probe:
    description: A request that a service with the new files answers.
    type: dict
    suboptions:
      port: {description: Port on 127.0.0.1., type: int, required: true}
      path: {description: Path., type: str, default: /}
      contains: {description: Text that must be in the answer. Any answer will do if it is empty., type: str, default: ""}
      timeout_seconds: {description: How long to wait., type: int, default: 10}
      otherwise: {description: What it means if the text is not in the answer; for the message., type: str, default: ""}
  inputs:
    description: Paths and globs that the service reads with these files. Those that match nothing are a warning, and in RV(missing_inputs).
    type: list
    elements: path
    default: []
  inputs_required:
    description: Whether an input that matches nothing is a failure, before anything changes. Check mode only reports it.
    type: bool
    default: false
extends_documentation_fragment:
  - ecommerce.fleet.files
author:
  - The ecommerce.fleet maintainers (@ecommerce-fleet)
attributes:
  check_mode:
    description: Stages and validates where the validating program is installed; swaps and activates nothing.
    support: full
  diff_mode:
    description: Shows each file.
    support: full
"""

EXAMPLES = r"""
- name: Configure nginx, which reloads
  ecommerce.fleet.staged_config:
    subject: nginx configuration
    files:
      - path: /etc/nginx/nginx.conf
        content: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"
        validate: [nginx, -t, -q, -c, "%s"]
    service: nginx
    enabled: true
    activate:
      - [systemctl, reload-or-restart, nginx]
    probe:
      port: 8081
      path: /config
      contains: "{{ digest }}"

- name: Configure an agent, which reads its files only when it starts
  ecommerce.fleet.staged_config:
    subject: configuration of the agent
    files:
      - path: /etc/agent.json
        content: "{{ settings | to_nice_json }}"
        validate: [agent, --check, "%s"]
    service: agent
    log_path: /var/log/agent.log
    error_pattern: ERROR
"""

RETURN = r"""
rewritten:
  description: Files whose content changed.
  returned: success
  type: list
  elements: str
activated:
  description: Whether the service was activated.
  returned: success
  type: bool
unvalidated:
  description: Files that could not be validated, because their program or directory is not there yet. Only in check mode.
  returned: success
  type: list
  elements: str
missing_inputs:
  description: Entries of O(inputs) that match nothing on the host.
  returned: success, or a failure because of them
  type: list
  elements: str
restored:
  description: Whether the service runs with the files from before.
  returned: failure
  type: bool
output:
  description: What the service printed since its activation, the errors of O(error_pattern) if there are any.
  returned: failure to come into effect
  type: list
  elements: str
"""

import functools
import glob

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.activation import OPTIONS, Activation
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.file_set import (
    DIRECTORY_OPTIONS,
    FILE_OPTIONS,
    FileSet,
    RefusedError,
)
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.processes import UMASK
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.undo import outcome as not_restored


def missing_inputs(module):
    """The inputs that match nothing; fails if they are required. Of a glob with `**`, which Python 2.7 lacks, the part before it counts."""
    missing = [pattern for pattern in module.params["inputs"] if not glob.glob(pattern.split("**")[0])]
    if missing and module.params["inputs_required"] and not module.check_mode:
        module.fail_json(
            msg="Nothing on this host matches %s, which the %s names. Nothing was changed."
            % (", ".join(missing), module.params["subject"]),
            missing_inputs=missing,
            restored=False,
        )
    if missing:
        module.warn(
            "Nothing on this host matches %s, which the %s names." % (", ".join(missing), module.params["subject"])
        )
    return missing


def bring_into_effect(module, files, activation):
    """Activates the service; fails when it does not run with the new files, after it has put the old ones back."""
    violation = activation.activate()
    if violation is None:
        return
    output, had_files = activation.output(), any(content is not None for content in files.before.values())
    left = files.restore()
    again = activation.activate(with_probe=False)
    if left:
        outcome = "%s.%s" % (not_restored(left), " It does not run with them: %s." % again if again else "")
    elif not had_files:
        outcome = "There were none before; they were removed."
    elif again:
        outcome = "The files from before were put back, but it does not run with them either: %s." % again
    else:
        outcome = "The files from before were put back and are in use."
    printed = " Its output:\n%s\n" % "\n".join(output) if output else " "
    module.fail_json(
        msg="The new %s was written but did not come into effect: %s.%s%s%s"
        % (module.params["subject"], violation, printed, outcome, activation.hint()),
        output=output,
        restored=had_files and again is None and not left,
    )


def finish(module, activation, steps):
    """What remains for systemctl once the files are in use: whether the unit starts at boot, or that it stops."""
    for step in steps:
        refused = activation.unit.do(step)
        if refused:
            module.fail_json(msg="The %s is in place, but %s." % (module.params["subject"], refused), restored=False)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            OPTIONS,
            subject=dict(type="str", required=True),
            files=dict(type="list", elements="dict", default=[], options=FILE_OPTIONS),
            directories=dict(type="list", elements="dict", default=[], options=DIRECTORY_OPTIONS),
            inputs=dict(type="list", elements="path", default=[]),
            inputs_required=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    missing = missing_inputs(module)
    files = FileSet(module, module.params["files"], module.params["directories"])
    rewritten, diff = files.rewritten, files.diff()
    try:
        changed = files.make_directories()
        files.validate()
    except RefusedError as refusal:
        module.fail_json(
            msg="The new %s is invalid, so nothing was changed. About %s: %s"
            % (module.params["subject"], refusal.path, refusal.output),
            restored=False,
        )
    activation = Activation(functools.partial(module.run_command, umask=UMASK), module.params)
    steps = activation.missing_steps()
    needed = activation.is_needed(rewritten, steps)
    if module.check_mode:
        files.discard()
        changed = files.attributes_differ() or changed or bool(rewritten or needed or steps)
    else:
        changed = files.swap() or changed or bool(needed or steps)
        if needed:
            bring_into_effect(module, files, activation)
        finish(module, activation, [step for step in steps if step != "start"])
    module.exit_json(
        changed=changed,
        rewritten=rewritten,
        activated=needed and not module.check_mode,
        unvalidated=files.unvalidated,
        missing_inputs=missing,
        diff=diff,
    )


if __name__ == "__main__":
    main()
